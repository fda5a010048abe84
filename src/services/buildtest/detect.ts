import { z } from "zod";
import { Failure } from "../../contracts/failure.ts";
import type { Work, Workspace } from "../../contracts/work.ts";

/** How a project is built and tested. */
export type Plan = {
  language: "node" | "python" | "shell"; // also the profile of the sandbox
  steps: { name: "build" | "test"; command: string }[]; // in order; each is read by sh
};

/** What node's runner is asked for when we choose the command: text for people, and JUnit for programs. */
const nodeTest =
  "node --test --test-reporter=tap --test-reporter-destination=stdout --test-reporter=junit --test-reporter-destination=junit.xml";

/** Finds out how a project is built and tested, unless the work says so. Throws `nothing_to_test`. */
export function detect({ workspace, language, build, test }: Work): Plan {
  const spoken = language ?? languageOf(workspace);
  const scripts = scriptsOf(workspace);
  const building = build ?? (runnable(scripts.build) ? scripts.build : undefined);
  const testing = test ?? testOf(spoken, workspace, scripts.test);
  if (testing === undefined) {
    throw new Failure(
      "nothing_to_test",
      'no tests were found: say how to test in `test`, e.g. "node --test" or "make test"',
    );
  }
  const steps: Plan["steps"] = building === undefined ? [] : [{ name: "build", command: building }];
  return { language: spoken, steps: [...steps, { name: "test", command: testing }] };
}

function languageOf(workspace: Workspace): Plan["language"] {
  const paths = Object.keys(workspace);
  if (paths.some((path) => path === "package.json" || /\.(c|m)?[jt]s$/.test(path))) return "node";
  return paths.some((path) => path.endsWith(".py")) ? "python" : "shell";
}

function testOf(language: Plan["language"], workspace: Workspace, script: string | undefined): string | undefined {
  const paths = Object.keys(workspace);
  if (language === "node") {
    if (runnable(script)) return script === "node --test" ? nodeTest : script;
    if (paths.some((path) => /(^|\/)(test\/.+|test|.+[.-_]test|test-.+)\.(c|m)?js$/.test(path))) return nodeTest;
    if (script !== undefined) return script;
  }
  if (language === "python" && paths.some((path) => /(^|\/)test[^/]*\.py$/.test(path))) {
    return "python3 -m unittest discover -v";
  }
  if (/^test:/m.test(workspace.Makefile ?? "")) return "make test";
  return paths.includes("test.sh") ? "sh test.sh" : undefined;
}

/** A script that needs nothing but node and a shell: what it calls from node_modules is not there. */
function runnable(script: string | undefined): script is string {
  if (script === undefined) return false;
  return script.split(/&&|\|\||;/).every((part) => /^(node|sh|echo|exit|true|test|rm|mkdir|cp)\b/.test(part.trim()));
}

const Manifest = z.object({ scripts: z.record(z.string(), z.string()).default({}) });

function scriptsOf(workspace: Workspace): Record<string, string> {
  try {
    return Manifest.parse(JSON.parse(workspace["package.json"] ?? "{}")).scripts;
  } catch {
    return {}; // a broken package.json is the project's own red, shown by its tests
  }
}
