// What libtpbench_onednn.so exports.
#include "compute/plugin.hpp"

#include <oneapi/dnnl/dnnl.h>

#include "base/json.hpp"
#include "onednn/onednn_products.hpp"

// Lines of oneDNN's own on stdout would stand among the results (environment/onednn_problems.cpp says so).
extern "C" [[gnu::visibility("default")]] const tpbench::LibraryPlugin* tpbench_library_plugin() {
  dnnl_set_verbose(0);
  static const tpbench::LibraryPlugin plugin = {tpbench::plugin_build(), tpbench::onednn::why_not,
                                                tpbench::onednn::make_products, tpbench::onednn::describe};
  return &plugin;
}
