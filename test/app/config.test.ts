import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig, sandboxEnvironment } from "../../src/app/config.ts";
import { checkFiles } from "../../src/app/launcher.ts";

describe("the configuration", () => {
  test("has a default for everything", () => {
    expect(readConfig({})).toMatchObject({
      host: "127.0.0.1",
      port: 8787,
      databaseUrl: null,
      adminToken: null,
      requireAdminForNonGet: false,
      model: { baseUrl: null, cassettes: [] },
    });
  });

  test.each([
    ["PORT", "70000"],
    ["PORT", "http"],
    ["DATABASE_URL", "not a url"],
    ["REQUIRE_ADMIN_FOR_NON_GET", "maybe"],
    ["ADMIN_TOKEN", "short"],
    ["LEASE_MS", "-1"],
    ["LOG_LEVEL", "loud"],
  ])("refuses %s=%s and names it", (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(
      expect.objectContaining({ code: "config_invalid", details: { field: name } }),
    );
  });

  test("wants a model's name beside its address", () => {
    expect(() => readConfig({ MODEL_BASE_URL: "http://127.0.0.1:1/v1" })).toThrow(/MODEL_NAME/);
  });

  test("hands no key to a sandbox worker", () => {
    process.env.ADMIN_TOKEN = "a-secret-token";
    process.env.DATABASE_URL = "postgres://secret";
    try {
      const given = sandboxEnvironment({ SANDBOX_TOKEN: "t" });
      expect(JSON.stringify(given)).not.toContain("secret");
      expect(given).toMatchObject({ SANDBOX_TOKEN: "t" });
    } finally {
      delete process.env.ADMIN_TOKEN;
      delete process.env.DATABASE_URL;
    }
  });
});

describe("the operator's files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "dagent-configs-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const broken = async (file: string, text: string) => {
    await cp("configs", folder, { recursive: true });
    await writeFile(join(folder, file), text);
    return checkFiles(readConfig({ CONFIG_DIR: folder }));
  };

  test("as shipped are accepted", async () => {
    await expect(checkFiles(readConfig({ CONFIG_DIR: "configs" }))).resolves.toBeUndefined();
  });

  test.each([
    ["retry_policy.json", "{", "is not JSON"],
    ["retry_policy.json", '{"default":{"max_attempts":0},"keys":{}}', "max_attempts"],
    ["retry_policy.json", '{"keys":{}}', "default"],
    ["route_policies.json", '{"routes":{"POST /api/chat":{"allow":["everybody"]}}}', "allow"],
    ["sandbox_limits.json", '{"defaults":{}}', "defaults"],
  ])("%s with %s is refused and the place is named", async (file, text, place) => {
    await expect(broken(file, text)).rejects.toMatchObject({
      code: "config_invalid",
      message: expect.stringMatching(new RegExp(`${file}[\\s\\S]*${place}`)),
    });
  });
});
