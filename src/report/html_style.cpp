// How pages look. Without it they are plain and complete.
#include "report/html.hpp"

namespace tpbench {

const char* const kStyleSheet = R"css(
:root{color-scheme:light dark;--ink:#1d2329;--quiet:#59636e;--paper:#fff;--card:#f5f7f9;--line:#d5dbe1;--grid:#e4e8ec;--link:#005a9c}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1500px;padding:0 clamp(12px,3vw,40px) 48px;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
header{padding:28px 0 8px}
h1{font-size:1.75rem;line-height:1.2;margin:0}
header p{color:var(--quiet);margin:.4em 0 0}
h2{font-size:1.3rem;line-height:1.25;margin:2.2em 0 .5em;padding-top:.5em;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.8em 0 .3em}
p,ul{margin:.4em 0;max-width:78em}
ul{padding-left:1.2em}
.head{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px;margin:16px 0}
.head section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 18px}
.head section:first-child{grid-column:1/-1;border-left:6px solid #0072b2}
.head h2{margin:0 0 .2em;padding:0;border:0;font-size:.82rem;letter-spacing:.06em;text-transform:uppercase;color:var(--quiet)}
.head section:first-child p,.head section:first-child li{font-size:1.08rem}
.head p,.head ul{margin:.2em 0}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:4px 20px}
a{color:var(--link)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:20px 28px;margin:12px 0;align-items:start}
figure{margin:0;max-width:640px}
figcaption{margin-bottom:6px}
figure p{font-size:.88rem;line-height:1.4;color:var(--quiet);margin:.4em 8px}
figure svg{display:block;width:100%;height:auto}
.legend{list-style:none;padding:0 0 0 8px;margin:4px 0;display:flex;flex-wrap:wrap;gap:2px 18px;font-size:.85rem}
.legend svg{display:inline-block;width:26px;height:12px;vertical-align:-1px}
.wide{overflow-x:auto;max-width:100%;margin:.6em 0}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:3px 12px 3px 0;white-space:nowrap;vertical-align:top;border-bottom:1px solid var(--grid)}
td.rest{white-space:normal;min-width:20em;color:var(--quiet)}
th.n,td.n{text-align:right}
thead th{color:var(--quiet);font-weight:600;border-bottom:1px solid var(--line)}
tbody th{font-weight:400}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:10px 14px;overflow-x:auto;font-size:.82rem;line-height:1.4}
details{margin:.5em 0}
summary{cursor:pointer;color:var(--link)}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.t{fill:var(--ink)}
.g{stroke:var(--grid)}
.a{stroke:var(--quiet)}
@media (prefers-color-scheme:dark){
:root{--ink:#e6eaee;--quiet:#a3adb8;--paper:#12161b;--card:#1b2128;--line:#37414c;--grid:#2a323b;--link:#7cc0f5}
.l.c0{stroke:#4fa8e0}.m.c0,.p0{fill:#4fa8e0}
.l.c1{stroke:#ff8a3d}.m.c1{fill:#ff8a3d}
.l.c2{stroke:#2ccb9c}.m.c2{fill:#2ccb9c}
.l.c3{stroke:#d98cc0}.m.c3{fill:#d98cc0}
.l.c4{stroke:#f2b632}.m.c4,.p1{fill:#f2b632}
.l.c5{stroke:#8ccbf2}.m.c5{fill:#8ccbf2}
.l.c6{stroke:#c9c94a}.m.c6{fill:#c9c94a}
.l.c7{stroke:#f0f0f0}.m.c7{fill:#f0f0f0}
.l.c8{stroke:#d79a6a}.m.c8{fill:#d79a6a}
.l.c9{stroke:#b5b5b5}.m.c9{fill:#b5b5b5}
.l.q{stroke:#9aa4ae}
.p2{fill:#7d8791}
.i{stroke:#fff}
}
@media print{
:root{color-scheme:light;--ink:#000;--quiet:#444;--paper:#fff;--card:#fff;--line:#999;--grid:#ddd;--link:#000}
body{max-width:none;padding:0;font-size:11px}
nav,summary{display:none}
figure,tr,.head section{break-inside:avoid}
h2,h3{break-after:avoid}
.wide{overflow:visible}
th,td{white-space:normal}
details::details-content{content-visibility:visible;block-size:auto}
pre{white-space:pre-wrap}
}
)css";

const char* const kStyleSheetHash = "sha256-mgOz7KdBX/07W8UbVAb0MSp1fKJafvCJELb/ySuJWlE=";

}  // namespace tpbench
