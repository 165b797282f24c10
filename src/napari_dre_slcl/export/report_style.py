"""How a slide's report looks: in light and dark themes, on narrow screens, on paper."""

from __future__ import annotations

__all__ = ["REPORT_STYLE"]

REPORT_STYLE = """\
:root { color-scheme: light dark; }
.hidden { position: absolute; }
.about { display: flex; flex-wrap: wrap; gap: 1.5em; align-items: flex-start; }
.about figure { flex: 1 1 22em; max-width: 34em; }
.about > div { flex: 1 1 20em; }
figure { margin: 0; }
figure svg { width: 100%; height: auto; display: block; background: #fff; }
figcaption { font-size: .9em; padding: .3em 0 .6em; }
.cells { image-rendering: pixelated; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(20em, 1fr)); gap: 1em; }
.ramp { display: block; width: 100%; height: .8em; border: 1px solid #888; margin-top: .4em;
  box-sizing: border-box; }
.ends { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums; }
.note { display: block; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(7em, 1fr)); gap: .6em; }
.tile img { display: block; width: 100%; height: auto; }
.track { display: inline-block; width: 9em; height: .7em; background: #e4e4e4; }
.bar { display: block; height: 100%; background: #1f5fbf; }
.swatch { display: inline-block; width: 1em; height: 1em; }
.bar, .track, .swatch { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1e2026; }
  .note, caption { color: #aaa; }
  th, td { border-bottom-color: #3a3d45; }
  .track { background: #3a3d45; }
  .bar { background: #6ea8ff; }
}
@media print {
  body { color: #000; background: #fff; font-size: 11pt; margin: 0; max-width: none; }
  .note, caption { color: #444; }
  figure, tr, h2, h3 { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .maps { grid-template-columns: 1fr 1fr; }
}
"""
