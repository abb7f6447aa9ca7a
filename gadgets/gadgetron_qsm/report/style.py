"""How the page looks, on a screen and on A4."""

STYLE = """
body { max-width: 60em; margin: 1.5em auto; padding: 0 1em; background: #fff; color: #1a1a1a;
  font: 15px/1.45 "Segoe UI", "Helvetica Neue", Helvetica, Arial, sans-serif; }
h1 { margin: 0 0 .2em; font-size: 1.7em; }
h2 { margin: 1.6em 0 .4em; border-bottom: 1px solid #999; font-size: 1.2em; }
h3 { margin: 1em 0 .2em; font-size: 1em; }
p { margin: .4em 0; }
img { display: block; width: 100%; height: auto; }
table { width: 100%; border-collapse: collapse; margin: .4em 0; }
th, td { padding: .25em .6em .25em 0; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; word-wrap: break-word; }
th { border-bottom: 1px solid #666; font-weight: bold; }
.numbers td, .numbers th { text-align: right; }
.numbers td:first-child, .numbers th:first-child { text-align: left; }
.use { font-weight: bold; }
.warnings { margin: 1em 0; padding: .5em 1em; border: 2px solid #a33; border-left-width: 10px;
  background: #fff3f0; }
.warnings h2 { margin: .2em 0; border: 0; color: #8a1f11; }
.fine { margin: 1em 0; padding: .5em 1em; border: 1px solid #999; border-left-width: 10px; }
.missing { color: #8a1f11; font-style: italic; }
.note { color: #444; font-size: .9em; }
.checklist td:first-child, .checklist th:first-child { width: 30%; }
.checklist td:nth-child(2), .checklist th:nth-child(2) { width: 20%; }
@page { size: A4; margin: 14mm; }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 10pt; }
  h2, h3 { page-break-after: avoid; break-after: avoid; }
  img, tr, .warnings { page-break-inside: avoid; break-inside: avoid; }
  .warnings { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
