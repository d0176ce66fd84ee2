// Many mutants in one source, so that the compiler runs once for all: each function becomes its mutated copies, and in its
// place stands one that calls the copy of the mutant whose number a placeholder in the code holds.

export const PLACEHOLDER = "6d7574616e742d6e756d6265722d676f65732d686572652d6d7574616e742121";
const NUMBER = `function mutantNumber() pure returns (uint256) {\n    return 0x${PLACEHOLDER};\n}\n`;

/** Whether a mutant can be one of many: it lies in a plain function with a body. */
export const canShare = ({ within }) => within !== null && within.kind === "function" && Boolean(within.body);

/**
 * One source with all the mutants in it, each by its `number` above 0; number 0 is the original.
 * @returns {{source: string, ranges: {start: number, end: number, number: number}[]}} where in the source which copy lies
 */
export function schema(text, mutants) {
  const bytes = Buffer.from(text, "utf8");
  const slice = (start, end) => bytes.subarray(start, end).toString("utf8");
  const span = (node) => {
    const [start, length] = node.src.split(":").map(Number);
    return [start, start + length];
  };
  const byFunction = new Map();
  for (const mutant of mutants) byFunction.set(mutant.within.id, [...(byFunction.get(mutant.within.id) ?? []), mutant]);

  let source = "";
  let at = 0;
  const ranges = [];
  const functions = [...byFunction.values()].sort((a, b) => span(a[0].within)[0] - span(b[0].within)[0]);
  for (const group of functions) {
    const node = group[0].within;
    const [start, end] = span(node);
    source += slice(at, start) + dispatcher(node, group, slice, span);
    for (const mutant of [{ number: 0 }, ...group]) {
      const from = Buffer.byteLength(source);
      source += `\n${copy(node, mutant, slice, span)}`;
      ranges.push({ start: from, end: Buffer.byteLength(source), number: mutant.number });
    }
    at = end;
  }
  source += slice(at, bytes.length);
  return { source: source + NUMBER, ranges };
}

const nameOf = (node, number) => `${node.name}_${node.id}_mutant_${number}`;
const mutability = (node) => (node.stateMutability === "nonpayable" ? "" : node.stateMutability);

function returns(node, slice, span) {
  return node.returnParameters.parameters.length === 0 ? "" : `returns ${slice(...span(node.returnParameters))}`;
}

function dispatcher(node, group, slice, span) {
  const { parameters } = node.parameters;
  const declared = parameters.map((p, i) => slice(...span(p)) + (p.name ? "" : ` unnamed${i}`)).join(", ");
  const given = parameters.map((p, i) => p.name || `unnamed${i}`).join(", ");
  const overrides = node.overrides ? slice(...span(node.overrides)) : "";
  const head = `function ${node.name}(${declared}) ${node.visibility} ${mutability(node)} ${node.virtual ? "virtual" : ""} ${overrides} ${returns(node, slice, span)}`;
  const back = node.returnParameters.parameters.length > 0;
  const call = (number) => (back ? `return ${nameOf(node, number)}(${given});` : `${nameOf(node, number)}(${given}); return;`);
  const lines = group.map(({ number }) => `if (mutantNumber() == ${number}) { ${call(number)} }`);
  return `${head} {\n${lines.join("\n")}\n${call(0)}\n}`;
}

/** The function under another name, private, with its own modifiers; mutated when the mutant has a place. */
function copy(node, mutant, slice, span) {
  const text = (start, end) => {
    if (mutant.number === 0 || mutant.start < start || mutant.end > end) return slice(start, end);
    return slice(start, mutant.start) + mutant.to + slice(mutant.end, end);
  };
  const modifiers = node.modifiers.map((m) => text(...span(m))).join(" ");
  const head = `function ${nameOf(node, mutant.number)}${slice(...span(node.parameters))} private ${mutability(node)} ${modifiers} ${returns(node, slice, span)}`;
  return `${head} ${text(...span(node.body))}`;
}
