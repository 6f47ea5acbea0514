"""tpbench report, as a browser shows it: headless Chromium. Skipped where there is none."""

import base64
import hashlib
import html
import http.server
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest

from harness import SOURCE_DIR, E2eTest, read_records

SAMPLE_FOLDERS = os.environ["TPBENCH_SAMPLE_FOLDERS"]
CHROMIUM = os.environ.get("TPBENCH_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (400, 700, 1000, 1600)
DARK, LIGHT = 0, 1

# Looks at the page from outside, in a frame of each width: whether it has to be scrolled sideways, what it loaded,
# which of its colours are in effect, and where its marks are.
LOOK = """<!DOCTYPE html><meta charset=utf-8><title>look</title><body><script>
const widths = %s, seen = [];
function look(i) {
  if (i == widths.length) {
    const out = document.createElement('pre'); out.id = 'out'; out.textContent = JSON.stringify(seen);
    document.body.replaceChildren(out); return;
  }
  const frame = document.createElement('iframe');
  frame.width = widths[i]; frame.height = 900; frame.style.border = 0;
  frame.onload = () => setTimeout(() => {
    const page = frame.contentDocument, root = page.documentElement;
    seen.push({width: widths[i], scroll: root.scrollWidth, client: root.clientWidth,
      loaded: frame.contentWindow.performance.getEntriesByType('resource').length,
      scripts: page.scripts.length, sheets: page.styleSheets.length,
      background: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
      ink: frame.contentWindow.getComputedStyle(page.body).color,
      figures: page.querySelectorAll('figure > svg').length,
      unnamed: [...page.querySelectorAll('figure > svg')].filter(s => !s.querySelector('title') || !s.querySelector('desc')
        || !s.getAttribute('aria-labelledby').split(' ').every(id => page.getElementById(id))).length,
      outside: [...page.querySelectorAll('figure > svg')].map(s => { const box = s.getBoundingClientRect();
        return [...s.querySelectorAll('text,circle,rect')].filter(e => { const b = e.getBoundingClientRect();
          return b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1; }).map(e => e.textContent); }).flat(),
      smallest: Math.min(...[...page.querySelectorAll('figure > svg .t')].map(t => t.getBoundingClientRect().height))});
    frame.remove(); look(i + 1);
  }, 50);
  frame.src = 'report.html';
  document.body.append(frame);
}
look(0);
</script></body>"""


class Server:
    """Gives out the files of a folder, and keeps what was asked for."""

    def __init__(self, folder, policy=None):
        self.asked = asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def do_GET(self):
                asked.append(self.path)
                super().do_GET()

            def end_headers(self):
                if policy and self.path == "/report.html":
                    self.send_header("Content-Security-Policy", policy)
                super().end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class PageTest(E2eTest):
    def folders(self, *labels, shapes=2, degrees=4):
        for seed, label in enumerate(labels):
            subprocess.run([SAMPLE_FOLDERS, self.folder / label, label, str(1e9 * 4 ** seed), str(shapes), str(degrees),
                            str(seed)], check=True)
        return labels

    def report(self, *folders):
        self.run_tpbench("report", *folders, "--output", "report.html")
        return (self.folder / "report.html").read_text()

    def browse(self, url, *options, scheme=LIGHT):
        profile = self.folder / "profile"
        done = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
             f"--blink-settings=preferredColorScheme={scheme}", f"--user-data-dir={profile}", "--enable-logging=stderr",
             "--virtual-time-budget=20000", *options, url],
            capture_output=True, text=True, timeout=120)
        self.console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return done.stdout

    def look(self, scheme=LIGHT, policy=None):
        (self.folder / "look.html").write_text(LOOK % json.dumps(WIDTHS))
        server = Server(self.folder, policy)
        try:
            dom = self.browse(server.url + "look.html", "--dump-dom", scheme=scheme)
        finally:
            server.close()
        self.asked = [path for path in server.asked if path != "/favicon.ico"]
        found = re.search(r'<pre id="out">(.*?)</pre>', dom, re.S)
        self.assertTrue(found, dom[:2000])
        return json.loads(html.unescape(found[1]))


class Page(PageTest):
    def test_fits_every_width_and_loads_nothing(self):
        self.report(*self.folders("eth-1g", "eth-10g"))
        looks = {scheme: self.look(scheme) for scheme in (LIGHT, DARK)}
        self.assertEqual(set(self.asked), {"/look.html", "/report.html"})
        self.assertEqual(self.console, [])
        for seen in looks[LIGHT] + looks[DARK]:
            self.assertLessEqual(seen["scroll"], seen["client"], seen)
            self.assertEqual((seen["loaded"], seen["scripts"], seen["sheets"], seen["unnamed"]), (0, 0, 1, 0), seen)
            self.assertGreater(seen["figures"], 6)
            self.assertEqual(seen["outside"], [])
            self.assertGreater(seen["smallest"], 8, "words in charts stay readable")
        light, dark = looks[LIGHT][0], looks[DARK][0]
        self.assertEqual(light["background"], "rgb(255, 255, 255)")
        self.assertLess(sum(map(int, re.findall(r"\d+", dark["background"]))), 150)
        self.assertGreater(sum(map(int, re.findall(r"\d+", dark["ink"]))), 600)

    def test_is_whole_where_no_style_is_let_through(self):
        self.report(*self.folders("eth-1g"))
        seen = self.look(policy="default-src 'none'")
        self.assertTrue(all(s["figures"] > 3 for s in seen))
        # The browser says that it left the style sheet out, and nothing else.
        self.assertTrue(all("style" in line for line in self.console), self.console)

    def test_marks_lie_where_the_records_are(self):
        page = self.report(*self.folders("eth-1g"))
        records = read_records(self.folder / "eth-1g").values()
        found = 0
        for figure in re.findall(r"<figure>.*?</figure>", page, re.S):
            if "<strong>Step over TP degree</strong>" not in figure:
                continue
            figure = figure.split("</svg>")[0]  # without its legend
            axes = {}
            for axis in "xy":
                kind, low, high, start, end = re.search(f'data-{axis}="([^"]*)"', figure)[1].split()
                self.assertEqual(kind, "log")
                axes[axis] = [float(v) for v in (low, high, start, end)]
            for place in re.findall(r'data-at="([-\d.]+) ([-\d.]+)"', figure):
                value = {axis: low * (high / low) ** ((float(pixel) - start) / (end - start))
                         for pixel, (axis, (low, high, start, end)) in zip(place, axes.items())}
                near = [r for r in records if r["case"]["workload"] != "all_reduce"
                        and abs(math.log(r["case"]["tp_degree"] / value["x"])) < 0.01
                        and abs(math.log(r["time_s"]["step"]["median"] / value["y"])) < 1e-3]
                self.assertTrue(near, value)
                found += 1
        self.assertEqual(found, 8)

    def test_style_is_the_one_that_the_policy_names(self):
        page = self.report(*self.folders("eth-1g"))
        style = re.search(r"<style>(.*?)</style>", page, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.assertIn(f"style-src 'sha256-{digest}'", page)

    def test_prints(self):
        self.report(*self.folders("eth-1g"))
        self.browse((self.folder / "report.html").as_uri(), f"--print-to-pdf={self.folder / 'report.pdf'}",
                    "--no-pdf-header-footer", scheme=DARK)
        self.assertGreater((self.folder / "report.pdf").stat().st_size, 10000)

    def test_old_folders(self):
        for folder in filter(lambda path: path.is_dir(), (SOURCE_DIR / "tests" / "corpus" / "records-1").iterdir()):
            self.assertIn("<h2>Answer</h2>", self.report(folder))

    def test_ten_folders_of_a_thousand_cases(self):
        folders = self.folders(*(f"fabric-{i}" for i in range(10)), shapes=25, degrees=4)  # 100 cases each
        started = time.monotonic()
        page = self.report(*folders)
        print(f"1000 cases in 10 folders: {time.monotonic() - started:.2f} s, {len(page) / 1e6:.2f} MB", file=sys.stderr)
        self.assertLess(len(page), 5e6)


if __name__ == "__main__":
    if CHROMIUM is None:
        print("skipped: no Chromium (Debian's package chromium, or its path in TPBENCH_CHROMIUM)")
        sys.exit(77)
    unittest.main()
