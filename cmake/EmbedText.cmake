cmake_minimum_required(VERSION 3.25)
# Writes OUTPUT, a C++ file that defines `extern const std::string_view tpbench::SYMBOL` as the text of INPUT.
file(READ ${INPUT} text)
# A compiler need not take a string literal beyond 64 KiB: the pieces are joined by the compiler itself.
string(LENGTH "${text}" length)
set(pieces "")
set(at 0)
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 8000 piece)
  string(APPEND pieces "    R\"__tp(${piece})__tp\"\n")
  math(EXPR at "${at} + 8000")
endwhile()
file(WRITE ${OUTPUT} "#include <string_view>\n\nnamespace tpbench {\nextern const std::string_view ${SYMBOL};\nconst std::string_view ${SYMBOL} =\n${pieces}    ;\n}  // namespace tpbench\n")
