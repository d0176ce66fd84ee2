#!/usr/bin/env node
// Builds registry/artifacts/<Contract>.json from src/ with the pinned npm solc.
//   node build.mjs           write the artifacts
//   node build.mjs --check   compare with the committed artifacts; exit 1 on any difference
// The output depends on sources, the compiler version and compiler.json only: sorted keys, no paths, no metadata hash.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const HERE = dirname(fileURLToPath(import.meta.url));
const OUT = join(HERE, "..", "artifacts");
const CONTRACTS = ["ChallengeWindow", "CreditRegistry", "CreditSale", "DevYen", "RevenueSplit", "SuccessorRegistry"];
// A registry's code has two halves; the second, which the first creates, is an artifact of its own, so that its code can be
// checked on a chain, and what it can do stands in the first one's ABI, at whose address it is called.
const HALVES = { CreditRegistry: "RegistryDesk", SuccessorRegistry: "SuccessorDesk" };
// Deployed as the library has them, compiled apart from ours.
const LIBRARY = { TimelockController: "node_modules/@openzeppelin/contracts/governance/TimelockController.sol" };

const settings = JSON.parse(readFileSync(join(HERE, "compiler.json"), "utf8"));

function compile(paths) {
  const sources = Object.fromEntries(paths.map((path) => [path, { content: read(path) }]));
  const wanted = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.deployedBytecode.immutableReferences"];
  const input = {
    language: "Solidity",
    sources,
    settings: { ...settings, outputSelection: { "*": { "*": wanted } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: resolveImport }));
  // Warnings count, but only ours: the library is pinned and its guard is the one use of transient storage.
  const ours = (e) => e.severity === "error" || (e.severity === "warning" && e.sourceLocation?.file.startsWith("src/"));
  const problems = (output.errors ?? []).filter(ours);
  for (const problem of problems) console.error(problem.formattedMessage);
  if (problems.length > 0) throw new Error(`${problems.length} compiler problem(s)`);
  return output.contracts;
}

function read(path) {
  return readFileSync(join(HERE, path), "utf8");
}

function resolveImport(path) {
  return existsSync(join(HERE, path)) ? { contents: read(path) } : { error: `no file ${path}` };
}

function artifact(name, path, contracts) {
  const { evm } = contracts[path][name];
  const half = HALVES[name];
  const abi = merged(contracts[path][name].abi, half ? contracts[`src/registry/${half}.sol`][half].abi : []);
  return {
    contractName: name,
    compiler: { version: solc.version(), settings },
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    deployedBytecode: `0x${evm.deployedBytecode.object}`,
    // Byte ranges of the deployed code that the constructor fills in; mask them when comparing with a chain. The compiler
    // names them by node numbers of its syntax tree, which say nothing: counted anew here.
    immutableReferences: Object.fromEntries(Object.values(evm.deployedBytecode.immutableReferences).map((at, i) => [i, at])),
  };
}

function merged(first, second) {
  const key = (entry) => JSON.stringify([entry.type, entry.name, (entry.inputs ?? []).map((input) => input.type)]);
  const known = new Set(first.map(key));
  return [...first, ...second.filter((entry) => entry.type !== "constructor" && !known.has(key(entry)))];
}

// One ABI entry a line keeps a diff readable and the file small.
function render(doc) {
  const { abi, ...rest } = doc;
  const head = Object.entries(rest).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  const entries = abi.map((entry) => `    ${JSON.stringify(entry)}`).join(",\n");
  return `{\n${[...head, `  "abi": [\n${entries}\n  ]`].join(",\n")}\n}\n`;
}

function main() {
  const check = process.argv.includes("--check");
  const ours = {
    ...Object.fromEntries(CONTRACTS.map((name) => [name, `src/${name}.sol`])),
    ...Object.fromEntries(Object.values(HALVES).map((name) => [name, `src/registry/${name}.sol`])),
  };
  const built = {};
  for (const group of [ours, LIBRARY]) {
    const contracts = compile(Object.values(group));
    for (const [name, path] of Object.entries(group)) built[`${name}.json`] = render(artifact(name, path, contracts));
  }
  if (!check) mkdirSync(OUT, { recursive: true });
  let differing = 0;
  for (const [file, text] of Object.entries(built)) {
    const path = join(OUT, file);
    const size = (JSON.parse(text).deployedBytecode.length - 2) / 2;
    if (!check) writeFileSync(path, text);
    const same = existsSync(path) && readFileSync(path, "utf8") === text;
    if (!same) differing += 1;
    console.log(`${same ? "same" : "DIFFERS"}  ${file}  ${size} bytes deployed`);
  }
  const strays = readdirSync(OUT).filter((file) => file.endsWith(".json") && !(file in built));
  for (const file of strays) console.log(`STRAY    ${file}`);
  if (differing + strays.length > 0) {
    console.error("Artifacts differ from the sources: run `node build.mjs` in registry/contracts and commit the result.");
    process.exit(1);
  }
}

main();
