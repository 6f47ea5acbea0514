#include "cli/program.hpp"

int main(int argc, char** argv) { return tpbench::run_program(argc, argv, tpbench::built_in_parts()); }
