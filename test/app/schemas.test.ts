import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { schemas } from "../../src/app/schemas.ts";

test("the schemas in the repository are those of the shapes (`dagent schemas` writes them anew)", () => {
  const kept = Object.fromEntries(
    readdirSync("schemas").map((name) => [name, readFileSync(`schemas/${name}`, "utf8")]),
  );

  expect(kept).toEqual(schemas());
});
