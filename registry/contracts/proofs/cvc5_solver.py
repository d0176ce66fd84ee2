"""cvc5 as a program: answers the SMT-LIB file that halmos hands over, with bit vectors taken as integers.

Multiplication and division by a constant over 256 bits, which bit-blasting solvers do not finish, are linear that way. The
translation is exact (cvc5's ``solve-bv-as-int=sum``), so an ``unsat`` is a proof and a ``sat`` a counterexample.
"""

import sys

import cvc5


def main() -> None:
    """Run every command of the file named last on the command line."""
    terms = cvc5.TermManager()
    solver = cvc5.Solver(terms)
    solver.setOption("solve-bv-as-int", "sum")
    solver.setOption("produce-models", "true")
    symbols = cvc5.SymbolManager(terms)
    parser = cvc5.InputParser(solver, symbols)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, sys.argv[-1])
    while not (command := parser.nextCommand()).isNull():
        print(command.invoke(solver, symbols), end="")


if __name__ == "__main__":
    main()
