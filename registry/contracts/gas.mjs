#!/usr/bin/env node
// Prints snapshots/Gas.json (written by test/Gas.t.sol) beside the budgets and the peers' figures of the on-chain reference.
import { readFileSync } from "node:fs";

const used = JSON.parse(readFileSync(new URL("snapshots/Gas.json", import.meta.url), "utf8"));
const perKey = (keys) => 190_000 + 23_500 * (keys - 1);
const toucanIssue = ["Toucan tokenize", 631_164];
const notes = {
  "issue: 1 plot key, first batch of the project": [perKey(1), ...toucanIssue],
  "issue: 1 plot key, next batch": [perKey(1), "Toucan tokenize, next", 568_364],
  "issue: 2 plot keys, first batch of the project": [perKey(2), ...toucanIssue],
  "issue: 16 plot keys, first batch of the project": [perKey(16), "Nori, 16 removals", 2_921_030],
  "issue: 256 plot keys, first batch of the project": [perKey(256)],
  "retire: first of all": [100_000, "Toucan, with certificate", 511_914],
  "retire: next": [100_000, "Toucan, with certificate, next", 477_714],
  "deposit: 1 payee": [60_000],
  "deposit: 10 payees": [60_000, "PushSplit, distribute to 10, warm", 156_638],
  "deposit: 500 payees": [60_000],
  "claim: cold (payee's first yen)": [85_000],
  "claim: warm": [50_000],
};

const rows = Object.entries(used).map(([name, gas]) => {
  const [budget, peer, peerGas] = notes[name] ?? [];
  const ratio = peerGas ? `${(peerGas / Number(gas)).toFixed(1)} x` : "";
  return [name, Number(gas).toLocaleString("en"), budget?.toLocaleString("en") ?? "", peer ?? "", peerGas?.toLocaleString("en") ?? "", ratio];
});
const head = ["operation (whole transaction)", "gas", "budget", "peer", "peer gas", "ratio"];
const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
for (const row of [head, ...rows]) {
  console.log(row.map((cell, i) => ([1, 2, 4, 5].includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("  "));
}
console.log("Peers: as recorded in the project's on-chain reference, each measured from its own sources; not part of this run.");
