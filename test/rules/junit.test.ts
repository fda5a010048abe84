import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readJunit } from "../../src/rules/junit.ts";

/** A report as node 20 wrote it, with its habit of escaping quotes twice and dropping line ends in attributes. */
const ofNode = readFileSync(join(import.meta.dirname, "logs/junit.xml"), "utf8");

describe("reading JUnit's XML", () => {
  test("counts and names what node reports: passed, failed, skipped and todo", () => {
    const { tests, failing } = readJunit(ofNode);

    expect(tests).toEqual({ passed: 1, failed: 3, skipped: 2 });
    expect(failing).toEqual([
      {
        name: "a red <one> & &quot;q&quot;: #1",
        file: null,
        line: null,
        message: "Expected values to be strictly equal:2 !== 3",
      },
      { name: "inner red", file: null, line: null, message: "boomsecond line ]]> x" },
      { name: "/project/b.test.js", file: null, line: null, message: "test failed" },
    ]);
  });

  test.each([
    ["an error", '<error message="why"/>', "why"],
    ["text in place of a message", "<failure>\n  first\n  second\n</failure>", "first\nsecond"],
    ["CDATA", "<failure><![CDATA[a < b]]></failure>", "a < b"],
    ["entities", '<failure message="&lt;&#65;&#x42;&amp;amp;&nope;"/>', "<AB&amp;&nope;"],
    ["quotes in quotes", `<failure message='a > "b"'/>`, 'a > "b"'],
  ])("reads %s", (_, inside, said) => {
    const xml = `<?xml version="1.0"?><testsuite><testcase file='x/y.c' name="t">${inside}</testcase></testsuite>`;

    expect(readJunit(xml)).toEqual({
      tests: { passed: 0, failed: 1, skipped: 0 },
      failing: [{ name: "t", file: "x/y.c", line: null, message: said }],
    });
  });

  test("does not take what stands in comments and CDATA for elements", () => {
    const xml = "<testcase name='a'><system-out><![CDATA[<failure>]]></system-out><!-- <failure/> --></testcase>";

    expect(readJunit(xml)).toEqual({ tests: { passed: 1, failed: 0, skipped: 0 }, failing: [] });
  });

  test("says that it does not know, when there is nothing to read", () => {
    expect(readJunit("<html><p>failure</p></html>")).toEqual({ tests: null, failing: [] });
  });

  test("does not break on anything a stranger can write", () => {
    const pieces = [
      "<testcase",
      ' name="',
      ">",
      "/>",
      "<failure ",
      "</testcase>",
      "<!--",
      "-->",
      "<![CDATA[",
      "'",
      "&#0;",
    ];
    const xml = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string()), { maxLength: 40 });

    fc.assert(
      fc.property(xml, (parts) => {
        const { tests, failing } = readJunit(parts.join(""));
        expect(failing.length).toBeLessThanOrEqual(tests?.failed ?? 0);
      }),
    );
  });

  test.each([
    ["cases", "<testcase name='a'><failure>"],
    ["comments that never end", "<!--"],
    ["CDATA that never ends", "<testcase><![CDATA["],
    ["quotes", `<testcase a="`],
    ["words", "<testcase a"],
    ["spaces", "<testcase  "],
  ])("takes time in proportion to the length of the report: %s", (_, piece) => {
    const began = performance.now();

    readJunit(piece.repeat(1_000_000 / piece.length));

    expect(performance.now() - began).toBeLessThan(3000); // quadratic: minutes
  });
});
