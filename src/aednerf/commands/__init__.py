"""The commands, a file for what they are about: a function's signature is its command line, its docstring the help."""
