import { expect, test } from "vitest";
import { refuserBy } from "../../src/app/outbound.ts";
import { OutboundPolicy } from "../../src/contracts/policy.ts";

const forbids = OutboundPolicy.parse({ private_addresses: "forbid", except: ["10.0.0.7", "agents.internal"] });

test.each([
  "http://127.0.0.1:8080/",
  "http://[::1]/",
  "http://10.0.0.1/",
  "http://192.168.1.4/a",
  "http://169.254.169.254/latest",
  "http://[fd00::1]/",
  "http://[::ffff:10.0.0.1]/",
  "http://0x7f.1/",
  "http://2130706433/",
  "http://localhost:9000/",
  "http://db/",
  "http://a.localhost./",
  "https://vault.corp.internal/",
])("refuses %s when private addresses are forbidden, and says what to do", (url) => {
  expect(refuserBy(() => forbids)(url)).toContain("configs/outbound.json");
});

test.each([
  "https://agents.example.com/run",
  "http://93.184.216.34/",
  "http://10.0.0.7:80/",
  "http://agents.internal/",
])("lets %s pass", (url) => {
  expect(refuserBy(() => forbids)(url)).toBeNull();
});

test("refuses nothing while the policy allows, and follows an edit", () => {
  let policy = OutboundPolicy.parse({ private_addresses: "allow", except: [] });
  const refuses = refuserBy(() => policy);
  expect(refuses("http://10.0.0.1/")).toBeNull();

  policy = forbids;

  expect(refuses("http://10.0.0.1/")).not.toBeNull();
});
