#!/usr/bin/env node
// Compares what slither found with slither-allowed.json: {check: {"file element": reason}}.
//   node assurance/slither.mjs findings.json
import { readFileSync } from "node:fs";

const found = JSON.parse(readFileSync(process.argv[2], "utf8"));
if (!found.success) throw new Error(`slither failed: ${found.error}`);
const allowed = JSON.parse(readFileSync(new URL("slither-allowed.json", import.meta.url), "utf8"));

/** Names of contracts and functions, no line numbers: they change with every edit. */
function place({ elements: [first] }) {
  const names = [];
  for (let at = first; at && at.type !== "compilation_unit" && at.name; at = at.type_specific_fields?.parent) names.unshift(at.name);
  return `${first.source_mapping.filename_relative} ${names.join(".")}`;
}

const used = new Set();
const times = new Map();
let unexplained = 0;
for (const finding of found.results.detectors ?? []) {
  // The second finding of a kind at a place is explained as "place #2".
  const key = `${finding.check} ${place(finding)}`;
  times.set(key, (times.get(key) ?? 0) + 1);
  const where = place(finding) + (times.get(key) > 1 ? ` #${times.get(key)}` : "");
  if (allowed[finding.check]?.[where]) used.add(`${finding.check} ${where}`);
  else {
    unexplained += 1;
    console.error(`UNEXPLAINED ${finding.check} (${finding.impact}) at "${where}"\n${finding.description}`);
  }
}
const stale = Object.entries(allowed).flatMap(([check, places]) =>
  Object.keys(places).map((where) => `${check} ${where}`).filter((key) => !used.has(key)),
);
for (const key of stale) console.error(`slither-allowed.json explains what is no longer found: ${key}`);
console.log(`slither: ${found.results.detectors?.length ?? 0} findings, ${used.size} explanations used, ${unexplained} unexplained`);
process.exit(unexplained + stale.length > 0 ? 1 : 0);
