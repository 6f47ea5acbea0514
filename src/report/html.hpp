#pragma once

#include <string>
#include <vector>

#include "report/document.hpp"

namespace tpbench {

/// One self-contained page of HTML: no script, nothing loaded, readable also where a content security policy
/// takes its style sheet away.
struct Page {
  std::string title;
  std::string subtitle;
  std::vector<Section> head;  ///< what is to be read first: a title and sentences each
  std::vector<Section> sections;
};

std::string to_html(const Page& page);

/// The style sheet of pages, and what a content security policy must name to let it through:
/// "sha256-..." of just its bytes.
extern const char* const kStyleSheet;
extern const char* const kStyleSheetHash;

}  // namespace tpbench
