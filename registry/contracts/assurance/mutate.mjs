#!/usr/bin/env node
// Mutation test: does a test fail when one small fault is set into a contract?
//   node assurance/mutate.mjs [--sample N] [--seed S] [--file src/X.sol]... [--work DIR] [--json FILE] [--lanes 1|2] [--list]
//   node assurance/mutate.mjs --again FILE ...      only the survivors that an earlier run wrote into FILE
// Works in copies. forge builds the tests once, without the optimiser; the mutants are compiled here, many in one source
// (schema.mjs), and the code of each put in the place of the original's artifact, which the tests deploy from
// (dynamic_test_linking).
// First the unit tests with few fuzz runs, then with all of them, then the invariants: a survivor passed all three. Gas
// figures and the comparison with the committed artifacts would notice any change at all and take no part.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import solc from "solc";
import { mutants } from "./mutants.mjs";
import { canShare, PLACEHOLDER, schema } from "./schema.mjs";

const HERE = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const NO_PART = /(Gas|Artifacts)\.t\.sol$/;
const INVARIANTS = /Invariants\.t\.sol$/;
const TIMEOUT_S = 900;
const FEW_RUNS = 8;
const AT_ONCE = 60; // mutants in one compilation

const { values: args } = parseArgs({
  options: {
    sample: { type: "string", default: "0" },
    seed: { type: "string", default: "4" },
    file: { type: "string", multiple: true, default: [] },
    work: { type: "string" },
    json: { type: "string" },
    again: { type: "string" },
    lanes: { type: "string", default: "1" },
    list: { type: "boolean", default: false },
  },
});

// ---------------------------------------------------------------- the copy

const root = args.work ?? mkdtempSync(join(tmpdir(), "mutate-"));

/** A copy with the tests that `keep` wants. No filter is given to forge: with one it compiles everything to see what fits. */
function copyOfTheProject(name, keep) {
  const at = join(root, name, "contracts");
  rmSync(at, { recursive: true, force: true });
  mkdirSync(at, { recursive: true });
  for (const part of ["src", "test", "foundry.toml", "solc.mjs", "package.json"]) {
    cpSync(join(HERE, part), join(at, part), { recursive: true });
  }
  for (const test of readdirSync(join(at, "test"))) {
    if (test.endsWith(".t.sol") && !keep(test)) rmSync(join(at, "test", test));
  }
  cpSync(join(HERE, "..", "artifacts"), join(root, name, "artifacts"), { recursive: true });
  symlinkSync(resolve(HERE, "node_modules"), join(at, "node_modules"));
  // forge asks for the version twice at every run: answered without loading the compiler.
  const compiler = readFileSync(join(at, "solc.mjs"), "utf8");
  const version = `if (process.argv.includes("--version")) {\n  console.log("solc\\nVersion: ${solc.version()}");\n  process.exit();\n}\n`;
  const lazy = compiler.replace('import solc from "solc";', `${version}const { default: solc } = await import("solc");`);
  if (lazy === compiler) throw new Error("solc.mjs does not import the compiler as it did");
  writeFileSync(join(at, "solc.mjs"), lazy);
  return at;
}

const at = copyOfTheProject("unit-1", (test) => !NO_PART.test(test) && !INVARIANTS.test(test));
const invariantsAt = copyOfTheProject("invariants-1", (test) => INVARIANTS.test(test));
const read = (path) => readFileSync(join(at, path), "utf8");
const forgeHome = readdirSync(join(HERE, "node_modules", "@foundry-rs")).find((name) => name.startsWith("forge-"));
const forgeBin = join(HERE, "node_modules", "@foundry-rs", forgeHome, "bin", process.platform === "win32" ? "forge.exe" : "forge");

function forgeTest(where, fuzzRuns, timeoutS) {
  rmSync(join(where, "cache", "fuzz"), { recursive: true, force: true }); // a counterexample of another mutant is no test
  rmSync(join(where, "cache", "invariant"), { recursive: true, force: true });
  return new Promise((done) => {
    const env = { ...process.env, FOUNDRY_OPTIMIZER: "false", FOUNDRY_PROFILE: "default" };
    if (fuzzRuns) env.FOUNDRY_FUZZ_RUNS = String(fuzzRuns);
    const child = spawn(forgeBin, ["test", "--fail-fast"], { cwd: where, env });
    let output = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutS * 1000);
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    child.on("close", (code) => {
      clearTimeout(timer);
      done({ code, late, output });
    });
  });
}

/** Who noticed: the failing test, "timeout", or null when all passed. */
async function noticedBy(where, fuzzRuns = 0, timeoutS = TIMEOUT_S) {
  const { code, late, output } = await forgeTest(where, fuzzRuns, timeoutS);
  if (late) return "timeout";
  const failed = output.match(/\[FAIL[^\n]*?\]\s*([A-Za-z_]\w*\(.*?\))/) ?? output.match(/\[FAIL[^\n]*/);
  if (code !== 0 && failed) return failed[1] ?? failed[0];
  if (code === 0 && /tests passed, 0 failed/.test(output)) return null;
  throw new Error(`forge neither passed nor failed (exit ${code}):\n${output.slice(-3000)}`);
}

// ---------------------------------------------------------------- the compiler

const found = (path) => (existsSync(join(at, path)) ? { contents: read(path) } : { error: `no file ${path}` });

function compile(sources, outputSelection) {
  const settings = {
    evmVersion: "cancun",
    viaIR: true,
    optimizer: { enabled: false, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    remappings: ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
    outputSelection,
  };
  const input = { language: "Solidity", sources, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: found }));
  return { ...output, failed: (output.errors ?? []).some((e) => e.severity === "error") };
}

function files(folder, ending) {
  const all = readdirSync(join(at, folder), { recursive: true }).map((name) => `${folder}/${name}`.replaceAll("\\", "/"));
  return all.filter((name) => name.endsWith(ending)).sort();
}

const sourceFiles = files("src", ".sol");
const testFiles = files("test", ".t.sol"); // of the unit tests
const parsed = compile(
  Object.fromEntries([...sourceFiles, ...testFiles].map((path) => [path, { content: read(path) }])),
  { "*": { "": ["ast"] } },
);
if (parsed.failed) throw new Error(parsed.errors.map((e) => e.formattedMessage).join("\n"));
const ast = (path) => parsed.sources[path].ast;
const contractsIn = (path) => ast(path).nodes.filter((n) => n.nodeType === "ContractDefinition");
const importsOf = (path) => ast(path).nodes.filter((n) => n.nodeType === "ImportDirective");

function dependsOn(path, wanted, seen = new Set()) {
  if (path === wanted) return true;
  if (seen.has(path) || !parsed.sources[path]) return false;
  seen.add(path);
  return importsOf(path).some((i) => dependsOn(i.absolutePath, wanted, seen));
}

const testTexts = files("test", ".sol").map(read);

/**
 * Contracts whose code holds a source's code, as tests deploy them: [file, name]. Tests that call a library embed it; of
 * those only such as deploy nothing, since compiled here they would embed what they deploy, and no longer meet later mutants.
 */
function targetsOf(path) {
  const deployable = (file) => contractsIn(file).filter((c) => c.contractKind === "contract" && !c.abstract);
  const created = ({ name }) => testTexts.some((text) => text.includes(`new ${name}(`));
  const ours = sourceFiles.filter((file) => dependsOn(file, path)).flatMap((file) => deployable(file).filter(created).map((c) => [file, c.name]));
  const libraries = contractsIn(path).filter((c) => c.contractKind === "library").map((c) => c.name);
  const calls = (file) =>
    importsOf(file).some((i) => i.absolutePath === path && i.symbolAliases.some((a) => libraries.includes(a.foreign.name)));
  const alone = (file) => deployable(file).filter((c) => c.linearizedBaseContracts.length === 1);
  return [...ours, ...testFiles.filter(calls).flatMap((file) => alone(file).map((c) => [file, c.name]))];
}

/** Code of the targets with some sources replaced, {file: text}; `errors` when it does not compile. */
function codeOf(targets, replaced) {
  const names = [...new Set([...targets.map(([file]) => file), ...Object.keys(replaced)])];
  const sources = Object.fromEntries(names.map((file) => [file, { content: replaced[file] ?? read(file) }]));
  const wanted = ["evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"];
  const selection = {};
  for (const [file, name] of targets) selection[file] = { ...selection[file], [name]: wanted };
  const output = compile(sources, selection);
  if (output.failed) return { code: null, errors: output.errors.filter((e) => e.severity === "error") };
  return { code: targets.map(([file, name]) => output.contracts[file][name].evm), errors: [] };
}

function install(where, targets, code) {
  targets.forEach(([file, name], i) => {
    const path = join(where, "out", file.split("/").pop(), `${name}.json`);
    if (!existsSync(path)) return; // a unit test that calls a library has no part in the invariants
    const artifact = JSON.parse(readFileSync(path, "utf8"));
    artifact.bytecode.object = `0x${code[i].bytecode.object}`;
    artifact.deployedBytecode.object = `0x${code[i].deployedBytecode.object}`;
    artifact.deployedBytecode.immutableReferences = code[i].deployedBytecode.immutableReferences;
    writeFileSync(path, JSON.stringify(artifact));
  });
}

// ---------------------------------------------------------------- the sample

/** xorshift32: the same sample everywhere. */
function shuffled(list, seed) {
  let x = (seed * 2654435761) >>> 0 || 1;
  const next = () => {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>>= 0);
  };
  const out = [...list];
  for (let i = out.length - 1; i > 0; --i) {
    const j = next() % (i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

function chosen() {
  const wanted = args.file.length > 0 ? args.file : sourceFiles;
  const all = wanted.flatMap((file) => mutants(ast(file), read(file)).map((m) => ({ file, ...m })));
  const sample = Number(args.sample) || all.length;
  if (args.again) {
    const key = (m) => [m.file, m.where, m.operator, m.from, m.to].join("|");
    const survivors = new Set(JSON.parse(readFileSync(args.again, "utf8")).results.filter((r) => r.state === "SURVIVED").map(key));
    return { total: all.length, picked: all.filter((m) => survivors.has(key(m))) };
  }
  // In this order too: a run that is stopped early leaves a sample.
  return { total: all.length, picked: shuffled(all, Number(args.seed)).slice(0, sample) };
}

// ---------------------------------------------------------------- the run

function writeResults(results, total, seconds) {
  if (!args.json) return;
  const slim = results.map(({ file, line, where, operator, from, to, state, by }) => ({ file, line, where, operator, from, to, state, by }));
  writeFileSync(args.json, `${JSON.stringify({ seed: Number(args.seed), total, seconds, results: slim }, null, 1)}\n`);
}

/** All targets of some mutants, each once. */
function targetsOfAll(group) {
  const all = [...new Set(group.map((m) => m.file))].flatMap(targetsOf);
  return all.filter(([file, name], i) => all.findIndex(([f, n]) => f === file && n === name) === i);
}

/**
 * Gives mutants `targets` and `code`, compiled together, and `before`, the code with no mutant in it. Code is null for one that
 * does not compile. One for which that cannot be told so is left without, and is compiled alone.
 */
function compileTogether(group) {
  let left = group.filter(canShare);
  while (left.length > 1) {
    left.forEach((mutant, i) => (mutant.number = i + 1));
    const targets = targetsOfAll(left);
    const shared = Object.fromEntries([...new Set(left.map((m) => m.file))].map((file) => [file, schema(read(file), left.filter((m) => m.file === file))]));
    const { code, errors } = codeOf(targets, Object.fromEntries(Object.entries(shared).map(([file, { source }]) => [file, source])));
    if (code !== null) {
      for (const mutant of left) Object.assign(mutant, { targets, code: numbered(code, mutant.number), before: numbered(code, 0) });
      return;
    }
    const at = ({ sourceLocation: place }) =>
      shared[place?.file]?.ranges.find((r) => r.number > 0 && r.start <= place.start && place.start < r.end)?.number;
    const broken = new Set(errors.map(at).filter(Boolean));
    if (broken.size === 0) {
      console.log(`(${left.length} mutants are compiled one by one: ${errors[0].formattedMessage})`);
      return;
    }
    for (const mutant of left) if (broken.has(mutant.number)) mutant.code = null;
    left = left.filter((mutant) => mutant.code !== null);
  }
}

/** The code of all with the number of one in it. */
function numbered(code, number) {
  const put = (hex) => hex.replaceAll(PLACEHOLDER, number.toString(16).padStart(64, "0"));
  return code.map(({ bytecode, deployedBytecode }) => ({
    bytecode: { object: put(bytecode.object) },
    deployedBytecode: { ...deployedBytecode, object: put(deployedBytecode.object) },
  }));
}

function compileAlone(mutant) {
  const { file, source } = mutant;
  const targets = targetsOf(file);
  const { code: before, errors } = codeOf(targets, {});
  if (before === null) throw new Error(errors.map((e) => e.formattedMessage).join("\n"));
  Object.assign(mutant, { targets, before, code: codeOf(targets, { [file]: source }).code });
}

/** What became of one mutant: [state, who noticed]. */
async function trial(mutant, unit, invariants) {
  if (mutant.code === undefined) compileAlone(mutant);
  const { targets, code, before } = mutant;
  if (code === null) return ["does not compile", ""];
  install(unit, targets, code);
  let by = (await noticedBy(unit, FEW_RUNS)) ?? (await noticedBy(unit));
  install(unit, targets, before);
  if (by === null) {
    install(invariants, targets, code);
    by = await noticedBy(invariants);
    install(invariants, targets, before);
  }
  return by === null ? ["SURVIVED", ""] : ["killed", by];
}

async function main() {
  const { total, picked } = chosen();
  console.log(`${total} mutants in all, ${picked.length} chosen (seed ${args.seed})`);
  if (args.list) return picked.forEach((m) => console.log(`${m.file}:${m.line} ${m.operator} ${m.from} -> ${m.to}`));
  const began = Date.now();
  for (const where of [at, invariantsAt]) {
    const blamed = await noticedBy(where, 0, 4 * 3600); // compiles as well
    if (blamed) throw new Error(`the tests fail without any mutant: ${blamed}`);
  }
  const results = [];
  const waiting = [...picked];
  const lane = async (number) => {
    const [unit, invariants] = ["unit", "invariants"].map((name) => {
      const mine = join(root, `${name}-${number}`);
      if (number > 1) rmSync(mine, { recursive: true, force: true });
      if (number > 1) cpSync(join(root, `${name}-1`), mine, { recursive: true, verbatimSymlinks: true });
      return join(mine, "contracts");
    });
    for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
      if (!mutant.met) {
        const group = [mutant, ...waiting].slice(0, AT_ONCE);
        for (const one of group) one.met = true;
        compileTogether(group);
      }
      const [state, by] = await trial(mutant, unit, invariants);
      Object.assign(mutant, { code: undefined, before: undefined });
      results.push({ ...mutant, state, by });
      const what = `${mutant.from} -> ${mutant.to || "(nothing)"}`.replace(/\s+/g, " ").slice(0, 110);
      const place = `${mutant.file}:${mutant.line} ${mutant.where} [${mutant.operator}]`;
      console.log(`${results.length}/${picked.length} ${state.padEnd(9)} ${place} ${what} ${by ? `| ${by}` : ""}`);
      writeResults(results, total, Math.round((Date.now() - began) / 1000));
    }
  };
  // The first lane starts last: it works in what the others copy.
  const lanes = Number(args.lanes);
  await Promise.all(Array.from({ length: lanes }, (_, i) => lane(lanes - i)));
  const count = (state, file) => results.filter((r) => r.state === state && (!file || r.file === file)).length;
  for (const file of [...new Set(results.map((r) => r.file)), ""]) {
    const [killed, survived] = [count("killed", file), count("SURVIVED", file)];
    const share = ((100 * killed) / (killed + survived || 1)).toFixed(1);
    console.log(`${(file || "all").padEnd(34)} ${killed} of ${killed + survived} killed (${share} %), ${count("does not compile", file)} do not compile`);
  }
}

await main();
