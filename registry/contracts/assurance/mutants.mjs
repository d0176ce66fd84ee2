// Small faults, one at a time, set into a Solidity source by its syntax tree: what a test suite ought to notice.
// An always-reverting branch is no mutant here: every test would notice, and the score would flatter.

const SWAPS = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "==": ["!="],
  "!=": ["=="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
  "<<": [">>"],
  ">>": ["<<"],
  "&&": ["||"],
  "||": ["&&"],
};
const ASSIGNMENTS = { "+=": ["-=", "="], "-=": ["+=", "="], "*=": ["/="], "|=": ["&=", "="], "&=": ["|=", "="] };
const YUL = { add: "sub", sub: "add", mul: "div", shl: "shr", shr: "shl", and: "or", or: "and", lt: "gt", gt: "lt" };

/**
 * All mutants of one source.
 * @param {object} ast the compiler's syntax tree of the file
 * @param {string} text its source
 * @returns {{operator: string, line: number, from: string, to: string, source: string, where: string, start: number,
 *   end: number, within: object|null}[]} `source` is the whole text mutated; `start` and `end` are bytes; `within` is the
 *   tree of the function, or null
 */
export function mutants(ast, text) {
  const bytes = Buffer.from(text, "utf8");
  const found = [];
  const seen = new Set();

  const span = (node) => {
    const [start, length] = node.src.split(":").map(Number);
    return [start, start + length];
  };
  const slice = (start, end) => bytes.subarray(start, end).toString("utf8");
  let within = null;
  const put = (operator, where, start, end, to) => {
    const key = `${start}:${end}:${to}`;
    if (seen.has(key) || slice(start, end) === to) return;
    seen.add(key);
    const line = slice(0, start).split("\n").length;
    const source = slice(0, start) + to + slice(end, bytes.length);
    found.push({ operator, line, from: slice(start, end), to, source, where, start, end, within });
  };
  const operatorBetween = (left, right, operator) => {
    const start = span(left)[1];
    const at = slice(start, span(right)[0]).indexOf(operator);
    return [start + at, start + at + operator.length];
  };
  const onlyReverts = (body) =>
    body.nodeType === "RevertStatement" ||
    (body.nodeType === "Block" && body.statements.length === 1 && body.statements[0].nodeType === "RevertStatement");

  const visit = {
    BinaryOperation(node, where) {
      const { leftExpression: left, rightExpression: right, operator } = node;
      for (const other of SWAPS[operator] ?? []) {
        put("operator", where, ...operatorBetween(left, right, operator), other);
      }
      if (operator === "&&" || operator === "||") {
        put("operand", where, ...span(node), slice(...span(left)));
        put("operand", where, ...span(node), slice(...span(right)));
      }
    },
    Assignment(node, where) {
      const at = operatorBetween(node.leftHandSide, node.rightHandSide, node.operator);
      for (const other of ASSIGNMENTS[node.operator] ?? []) put("assignment", where, ...at, other);
    },
    UnaryOperation(node, where) {
      const inner = span(node.subExpression);
      if (node.operator === "!" || node.operator === "-" || node.operator === "~") {
        put("unary", where, ...span(node), slice(...inner));
      } else if (node.operator === "++" || node.operator === "--") {
        const other = node.operator === "++" ? "--" : "++";
        const expression = slice(...inner);
        put("unary", where, ...span(node), node.prefix ? other + expression : expression + other);
      }
    },
    Literal(node, where) {
      const [start, end] = span(node);
      if (node.kind === "bool") return put("constant", where, start, end, node.value === "true" ? "false" : "true");
      if (node.kind !== "number") return;
      const digits = slice(start, end).match(/^(0x[0-9a-fA-F_]+|[0-9_]+)/)?.[0];
      if (!digits || (digits.startsWith("0x") && digits.length === 42)) return;
      const value = BigInt(digits.replaceAll("_", ""));
      put("constant", where, start, start + digits.length, String(value + 1n));
      if (value > 0n) put("constant", where, start, start + digits.length, String(value - 1n));
    },
    IfStatement(node, where) {
      put("condition", where, ...span(node.condition), "false");
      if (!onlyReverts(node.trueBody)) put("condition", where, ...span(node.condition), "true");
    },
    Conditional(node, where) {
      put("condition", where, ...span(node), slice(...span(node.trueExpression)));
      put("condition", where, ...span(node), slice(...span(node.falseExpression)));
    },
    ExpressionStatement(node, where) {
      const [start, end] = span(node);
      put("deletion", where, start, slice(end, end + 1) === ";" ? end + 1 : end, "{}");
    },
    EmitStatement(node, where) {
      const [start, end] = span(node);
      put("deletion", where, start, slice(end, end + 1) === ";" ? end + 1 : end, "{}");
    },
    RevertStatement(node, where, parents) {
      const [outer, before] = parents.slice(-2).reverse();
      if (outer?.nodeType === "IfStatement" || (before?.nodeType === "IfStatement" && outer.statements.length === 1)) return;
      const [start, end] = span(node);
      put("deletion", where, start, slice(end, end + 1) === ";" ? end + 1 : end, "{}");
    },
    Return(node, where) {
      if (!node.expression) return;
      const type = node.expression.typeDescriptions.typeString;
      const [start, end] = span(node.expression);
      if (type === "bool") put("result", where, start, end, `!(${slice(start, end)})`);
      else if (/^(uint|int)\d+$/.test(type)) put("result", where, start, end, "0");
      else if (/^bytes\d+$/.test(type)) put("result", where, start, end, "0");
      else if (type === "address") put("result", where, start, end, "address(0)");
    },
    ModifierInvocation(node, where) {
      if (node.kind === "modifierInvocation") put("modifier", where, ...span(node), "");
    },
    YulFunctionCall(node, where) {
      const other = YUL[node.functionName.name];
      if (other) put("assembly", where, ...span(node.functionName), other);
    },
    YulLiteral(node, where) {
      if (node.kind !== "number") return;
      const value = BigInt(node.value);
      put("assembly", where, ...span(node), String(value + 1n));
      if (value > 0n) put("assembly", where, ...span(node), String(value - 1n));
    },
    YulExpressionStatement(node, where) {
      put("assembly", where, ...span(node), "{}");
    },
  };

  const walk = (node, where, parents) => {
    if (Array.isArray(node)) {
      for (const child of node) walk(child, where, parents);
      return;
    }
    if (!node || typeof node !== "object") return;
    if (node.nodeType === "FunctionDefinition") [where, within] = [node.name || node.kind, node];
    visit[node.nodeType]?.(node, where, parents);
    // Types, documentation, and what does not run: nothing to mutate.
    if (["StructuredDocumentation", "ArrayTypeName", "ImportDirective", "PragmaDirective"].includes(node.nodeType)) return;
    const down = node.nodeType ? [...parents, node] : parents;
    for (const [key, child] of Object.entries(node)) {
      if (key !== "typeDescriptions" && key !== "overrides") walk(child, where, down);
    }
    if (node.nodeType === "FunctionDefinition") within = null;
  };
  walk(ast, "", []);
  return found;
}
