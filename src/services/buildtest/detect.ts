import { z } from "zod";
import { Failure } from "../../contracts/failure.ts";
import type { Work, Workspace } from "../../contracts/work.ts";
import { nodeTest, pytest, reported } from "./runners.ts";

/** How a project is built and tested. */
export type Plan = {
  language: string; // also the profile of the sandbox: node, python, shell or what the operator added
  steps: { name: "build" | "test"; command: string }[]; // in order; each is read by sh
  because: string[]; // how each was found
};

/** The commands an operator gave a profile, for projects that do not say. */
export type CommandsOf = (profile: string) => { build?: string | undefined; test?: string | undefined };

const pytestStyle = /^(async )?def test_|^(import|from) pytest\b/m;

/** The language of a project: what the work says, or what its files do. */
export function languageOf({ language, workspace }: Pick<Work, "language" | "workspace">): string {
  return language ?? spokenIn(workspace);
}

/**
 * Finds out how a project is built and tested, unless the work says so. Throws `nothing_to_test`.
 *
 * installed  whether its dependencies are there, and with them the programs its scripts call
 */
export function detect(
  { workspace, language, build, test }: Work,
  commandsOf: CommandsOf = () => ({}),
  installed = false,
): Plan {
  const spoken = languageOf({ language, workspace });
  const usual = commandsOf(spoken);
  const { scripts, ...manifest } = manifestOf(workspace);
  const may = installed ? isScript : runnable;
  const building = build ?? (may(scripts.build) ? scripts.build : undefined) ?? usual.build;
  const script = may(scripts.test) ? scripts.test : installed ? runnerIn(manifest) : undefined;
  const testing = test ?? testOf(spoken, workspace, script) ?? usual.test;
  if (testing === undefined) {
    const unusable = scripts.test === undefined ? "" : ` (the script "${scripts.test}" needs what is not installed)`;
    throw new Failure(
      "nothing_to_test",
      `no tests were found that can run here${unusable}: say how to test in \`test\`, e.g. "node --test" or "make test"`,
      { field: "test" },
    );
  }
  const steps: Plan["steps"] = building === undefined ? [] : [{ name: "build", command: building }];
  const because = [
    language ? `${spoken}, as was said` : `${spoken}, by its files`,
    ...(building === undefined ? [] : [`build ${foundIn(build, scripts.build, building)}`]),
    `test ${foundIn(test, scripts.test, testing)}`,
    ...(installed ? [] : leftOut({ build, test }, scripts)),
  ];
  return { language: spoken, steps: [...steps, { name: "test", command: testing }], because };
}

/** Nobody should take a green for that of the project's own scripts when they were not run. */
function leftOut(said: Pick<Work, "build" | "test">, scripts: Manifest["scripts"]): string[] {
  return (["build", "test"] as const)
    .filter((name) => said[name] === null && isScript(scripts[name]) && !runnable(scripts[name]))
    .map((name) => `its ${name} script is left out, for it needs what is not installed: a lockfile brings that`);
}

function foundIn(said: string | null, script: string | undefined, command: string): string {
  if (said !== null) return "as was said";
  if (script !== undefined && (command === script || command === reported(script)))
    return "by the script of package.json";
  return command === "make test" ? "by the Makefile" : "by the names of its files";
}

function spokenIn(workspace: Workspace): Plan["language"] {
  const paths = Object.keys(workspace);
  if (paths.some((path) => path === "package.json" || /\.(c|m)?[jt]s$/.test(path))) return "node";
  return paths.some((path) => path.endsWith(".py")) ? "python" : "shell";
}

function testOf(language: Plan["language"], workspace: Workspace, script: string | undefined): string | undefined {
  const paths = Object.keys(workspace);
  if (language === "node") {
    if (script !== undefined) return reported(script);
    if (paths.some((path) => nodeTestFile.test(path))) return nodeTest;
  }
  const pythonTests = paths.filter((path) => /(^|\/)(test[^/]*|[^/]+_test)\.py$/.test(path));
  if (language === "python" && pythonTests.some((path) => pytestStyle.test(workspace[path] ?? ""))) return pytest;
  if (language === "python" && pythonTests.length > 0) {
    const usual = pythonTests.every((path) => /(^|\/)test[^/]*$/.test(path));
    return `python3 -m unittest discover -v${startOf(pythonTests, workspace)}${usual ? "" : " -p '*test*.py'"}`;
  }
  if (/^test *:(?!=)/m.test(workspace.Makefile ?? "")) return "make test";
  return paths.includes("test.sh") ? "sh test.sh" : undefined;
}

/** The names node's runner looks for by itself: https://nodejs.org/docs/latest-v20.x/api/test.html#running-tests-from-the-command-line */
const nodeTestFile = /(^|\/)(test\/.+|test|.+[._-]test|test-.+)\.(c|m)?js$/;

/** Where unittest must start when the tests lie in a folder that is no package: it would not look there. */
function startOf(tests: string[], workspace: Workspace): string {
  const folders = new Set(tests.map((path) => path.split("/").slice(0, -1).join("/")));
  const [folder = ""] = folders;
  const seenFromAbove = folder === "" || `${folder}/__init__.py` in workspace;
  return folders.size > 1 || seenFromAbove || !/^[\w./-]+$/.test(folder) ? "" : ` -s ${folder}`;
}

/**
 * A script that needs nothing but node and a shell: what it calls from node_modules is not there. What `npm init` writes
 * where there are no tests is none.
 */
function runnable(script: string | undefined): script is string {
  if (!isScript(script)) return false;
  return script
    .split(/&&|\|\||[;|\n]/)
    .every((part) => /^(\w+=\S* +)*(node|sh|echo|exit|true|test|rm|mkdir|cp|cat)(\s|$)/.test(part.trim()));
}

function isScript(script: string | undefined): script is string {
  return script !== undefined && !script.includes("no test specified");
}

/** The runner that a package.json without a test script brings. */
function runnerIn({ dependencies, devDependencies }: Omit<Manifest, "scripts">): string | undefined {
  return ["vitest", "jest", "mocha"].find((name) => name in dependencies || name in devDependencies);
}

const names = z.record(z.string(), z.string()).default({});
const Manifest = z.object({ scripts: names, dependencies: names, devDependencies: names });
type Manifest = z.infer<typeof Manifest>;

function manifestOf(workspace: Workspace): Manifest {
  try {
    return Manifest.parse(JSON.parse(workspace["package.json"] ?? "{}"));
  } catch {
    return Manifest.parse({}); // a broken package.json is the project's own red, shown by its tests
  }
}
