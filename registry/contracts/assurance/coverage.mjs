#!/usr/bin/env node
// Prints what an lcov report says of src/ and fails unless every branch was taken.
//   node assurance/coverage.mjs lcov.info
// UNSEEN names what the instrumentation cannot see: {file, text of the line, path, reason}, with `line`, where there is one,
// that runs in this branch alone and must have run. An entry that is no longer needed fails too.
import { readFileSync } from "node:fs";

const UNSEEN = [
  {
    file: "src/ChallengeWindow.sol",
    text: "if (status == Status.Dismissed) {",
    path: "1",
    line: "registry.annul(id, c.recipient);",
    reason: "the way into this `else` is lost in the IR's source map; its only line is counted and ran",
  },
  {
    file: "src/registry/RegistryFront.sol",
    text: "if iszero(done) { revert(free, returndatasize()) }",
    path: "0",
    reason: "assembly is not counted; test/Challenge.t.sol and others expect errors of the other half, and the mutant without this revert is killed",
  },
];

const files = [];
for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  const [kind, rest = ""] = line.split(/:(.*)/s);
  const current = files.at(-1);
  if (kind === "SF") files.push({ name: rest, lines: [], branches: [], functions: [] });
  else if (kind === "DA") current.lines.push(rest.split(",").map(Number));
  else if (kind === "BRDA") current.branches.push(rest.split(","));
  else if (kind === "FNDA") current.functions.push(rest.split(",").map((x) => (Number.isNaN(Number(x)) ? x : Number(x))));
}

const share = (hit, all) => `${hit}/${all}`;
const used = new Set();
const missing = [];
const rows = files.map(({ name, lines, branches, functions }) => {
  const source = readFileSync(name, "utf8").split("\n");
  let [taken, unseen] = [0, 0];
  for (const [line, , path, hits] of branches) {
    if (Number(hits) > 0) {
      taken += 1;
      continue;
    }
    const ran = (text) => lines.some(([at, times]) => times > 0 && source[at - 1].trim() === text);
    const known = UNSEEN.find((u) => u.file === name && u.path === path && source[line - 1].includes(u.text) && (!u.line || ran(u.line)));
    if (known) {
      used.add(known);
      unseen += 1;
    } else missing.push(`${name}:${line} path ${path}: ${source[line - 1].trim()}`);
  }
  const count = (list, at) => share(list.filter((x) => x[at] > 0).length, list.length);
  return [name, share(taken, branches.length - unseen), unseen ? String(unseen) : "", count(lines, 1), count(functions, 0)];
});
const sum = (at) => rows.map((row) => row[at].split("/").map(Number)).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
rows.push(["all", share(...sum(1)), String(rows.reduce((n, row) => n + Number(row[2]), 0)), share(...sum(3)), share(...sum(4))]);

const head = ["file", "branches", "not seen", "lines", "functions"];
const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
for (const row of [head, ...rows]) {
  console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ").trimEnd());
}
for (const entry of used) console.log(`not seen: ${entry.file}, ${entry.text}…: ${entry.reason}`);
const stale = UNSEEN.filter((entry) => !used.has(entry));
for (const entry of stale) console.error(`UNSEEN in coverage.mjs names a branch that is seen or gone: ${entry.file}, ${entry.text}`);
for (const branch of missing) console.error(`never taken: ${branch}`);
if (rows.at(-1)[1].split("/")[1] === "0") throw new Error("the report has no branch of src/ at all");
process.exit(missing.length + stale.length > 0 ? 1 : 0);
