// Reports as a page of HTML.
#include "report/html.hpp"

#include <fmt/format.h>

#include "report/svg.hpp"

namespace tpbench {
namespace {

std::string paragraphs(const std::vector<std::string>& sentences) {
  if (sentences.size() == 1) return "<p>" + escaped_html(sentences.front()) + "</p>\n";
  std::string items;
  for (const std::string& sentence : sentences) items += "<li>" + escaped_html(sentence) + "</li>\n";
  return items.empty() ? "" : "<ul>\n" + items + "</ul>\n";
}

// End tags of cells and rows may be left out, and a large table is half as long without them.
std::string table_row(const Section& section, const Section::Row& row) {
  std::string line = "<tr>";
  bool is_first = true;
  for (std::size_t i = 0; i < section.columns.size(); ++i) {
    if (!section.columns[i].is_shown) continue;
    const bool is_covered = !row.rest.empty() && (row.cells.empty() || i >= section.rest_from);
    if (is_covered) {
      line += fmt::format("<td class=rest colspan={}>{}", section.columns.size() - i, escaped_html(row.rest));
      break;
    }
    std::string text = escaped_html(text_of(row.cells.at(i)));
    if (const std::size_t sign = text.find(" +-"); sign != std::string::npos)
      text.replace(sign, 3, " \u00b1");
    const bool is_number = section.columns[i].align == Align::right;
    // The first cell says what the row is.
    if (is_first)
      line += fmt::format("<th scope=row{}>{}", is_number ? " class=n" : "", text);
    else
      line += (is_number ? "<td class=n>" : "<td>") + text;
    is_first = false;
  }
  return line + '\n';
}

std::string table(const Section& section) {
  if (section.rows.empty()) return "";
  std::string text = "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"" +
                     escaped_html(section.title.empty() ? "table" : section.title) +
                     "\"><table>\n<thead><tr>";
  for (const Section::Column& column : section.columns) {
    if (!column.is_shown) continue;
    text += fmt::format("<th scope=col{}>{}", column.align == Align::right ? " class=n" : "",
                        escaped_html(column.heading));
  }
  text += "\n<tbody>\n";
  for (const Section::Row& row : section.rows) text += table_row(section, row);
  return text + "</table></div>\n";
}

std::string figure(const Figure& figure, const std::string& id) {
  return fmt::format("<figure><figcaption><strong>{}</strong></figcaption>\n{}{}<p>{}</p></figure>\n",
                     escaped_html(figure.title), to_svg(figure, id), legend_html(figure),
                     escaped_html(figure.words));
}

// What is asked for only now and then.
std::string folded(const Section& section, const std::string& content) {
  if (content.empty() || !section.is_folded) return content;
  const char* what = !section.figures.empty() ? "Numbers" : "Show";
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", what, content);
}

std::string section_html(const Section& section, std::size_t place) {
  std::string text;
  const std::string id = fmt::format("s{}", place);
  if (!section.title.empty())
    text += fmt::format("<h{0} id=\"{1}\">{2}</h{0}>\n", section.is_below ? 3 : 2, id,
                        escaped_html(section.title));
  text += paragraphs(section.sentences);
  if (!section.figures.empty()) {
    text += "<div class=\"figures\">\n";
    for (std::size_t i = 0; i < section.figures.size(); ++i)
      text += figure(section.figures[i], fmt::format("{}f{}", id, i));
    text += "</div>\n";
  }
  std::string content = table(section);
  if (!section.code.empty()) content += "<pre tabindex=\"0\">" + escaped_html(section.code) + "</pre>\n";
  return text + folded(section, content) + paragraphs(section.notes);
}

std::string navigation(const Page& page) {
  std::string items;
  for (std::size_t i = 0; i < page.sections.size(); ++i) {
    const Section& section = page.sections[i];
    if (!section.title.empty() && !section.is_below)
      items += fmt::format("<li><a href=\"#s{}\">{}</a></li>\n", i, escaped_html(section.title));
  }
  return "<nav aria-label=\"Contents\"><ul>\n" + items + "</ul></nav>\n";
}

}  // namespace

std::string to_html(const Page& page) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; base-uri "
      "'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>{}</style>\n</head>\n"
      "<body>\n<header>\n<h1>{}</h1>\n<p>{}</p>\n</header>\n<main>\n<div class=\"head\">\n",
      kStyleSheetHash, escaped_html(page.title), kStyleSheet, escaped_html(page.title),
      escaped_html(page.subtitle));
  for (const Section& section : page.head)
    text += fmt::format("<section><h2>{}</h2>\n{}</section>\n", escaped_html(section.title),
                        paragraphs(section.sentences));
  text += "</div>\n" + navigation(page);
  for (std::size_t i = 0; i < page.sections.size(); ++i) text += section_html(page.sections[i], i);
  return text + "</main>\n</body>\n</html>\n";
}

}  // namespace tpbench
