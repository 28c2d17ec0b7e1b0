"""How the report looks, on screen and in print, light and dark.
One style sheet, plain CSS; it names no font that has to be fetched and no picture.
"""

STYLE = """
:root {
  color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #18212b; --muted: #5d6975;
  --line: #dfe4e9; --band: #e9edf2; --prompting: #2463c7; --tuned: #bf5b04; --good: #177245;
  --bad: #b3261e; --prompting-soft: #e8f0fc; --tuned-soft: #fcefe1; --good-soft: #e3f3ea;
  --bad-soft: #fbe9e7; --muted-soft: #eef1f4;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #0f1419; --card: #171e26; --ink: #e6ebf0; --muted: #9aa7b4; --line: #2c3742; --band: #242e38;
    --prompting: #74a7f7; --tuned: #f0994a; --good: #62c492; --bad: #f2877f; --prompting-soft: #1b2b44;
    --tuned-soft: #3a2813; --good-soft: #16301f; --bad-soft: #3d1d1b; --muted-soft: #212a33;
  }
}
* { box-sizing: border-box }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100% }
body {
  margin: 0 auto; padding: 28px 24px 64px; max-width: 1180px; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  display: grid; grid-template-columns: 168px minmax(0, 1fr); column-gap: 36px;
}
header { grid-column: 2; padding: 0 4px 18px }
header p { margin: 0; color: var(--muted) }
header .brand { font-weight: 700; letter-spacing: .04em; color: var(--tuned) }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere }
main { grid-column: 2; grid-row: 2 }
nav {
  grid-column: 1; grid-row: 2; position: sticky; top: 24px; align-self: start; display: grid; gap: 2px;
  font-size: .9rem;
}
nav a { color: var(--muted); text-decoration: none; padding: 4px 10px; border-left: 2px solid var(--line) }
nav a:hover, nav a:focus-visible { color: var(--ink); border-color: var(--tuned) }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 24px 28px;
  margin: 0 0 20px; scroll-margin-top: 16px;
}
h2 { margin: 0 0 12px; font-size: 1.2rem }
h3 { margin: 20px 0 8px; font-size: 1rem; overflow-wrap: anywhere }
p { margin: 0 0 12px }
a { color: var(--prompting) }
#verdict h2 { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.chip {
  display: inline-block; margin: 0 0 8px; padding: 2px 12px; border-radius: 99px; font-size: .8rem;
  font-weight: 650; letter-spacing: .03em; background: var(--muted-soft); color: var(--muted);
}
.chip.fine_tuned { background: var(--tuned-soft); color: var(--tuned) }
.chip.prompting { background: var(--prompting-soft); color: var(--prompting) }
.chip.simple { background: var(--good-soft); color: var(--good) }
.chip.equivalent { background: var(--good-soft); color: var(--good) }
.chip.invalid { background: var(--bad-soft); color: var(--bad) }
.headline {
  font-size: clamp(1.5rem, 3.4vw, 2.15rem); line-height: 1.2; font-weight: 700; letter-spacing: -.015em;
  margin: 0 0 14px; text-wrap: balance; overflow-wrap: anywhere;
}
.lead { font-size: 1.06rem; max-width: 68ch }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 20px 0;
}
.tile {
  border: 1px solid var(--line); border-top: 4px solid var(--muted); border-radius: 8px;
  padding: 12px 14px;
}
.tile.prompting { border-top-color: var(--prompting) }
.tile.tuned { border-top-color: var(--tuned) }
.tile p { margin: 0 }
.tile .of { font-size: .82rem; color: var(--muted); overflow-wrap: anywhere }
.tile .value { font-size: 1.55rem; font-weight: 700; font-variant-numeric: tabular-nums; line-height: 1.3 }
.note { font-size: .85rem; color: var(--muted) }
figure { margin: 12px 0 }
figure svg { display: block; width: 100%; max-width: 660px; height: auto }
svg * { stroke-linejoin: round; stroke-linecap: butt }
svg text {
  font-family: inherit !important; paint-order: stroke; stroke: var(--card); stroke-width: 3px;
}
.scroll { overflow-x: auto; margin: 12px 0 }
.scroll:focus-visible, summary:focus-visible, a:focus-visible {
  outline: 2px solid var(--prompting); outline-offset: 2px; border-radius: 4px;
}
table { border-collapse: collapse; width: 100%; font-size: .9rem; line-height: 1.4 }
caption { text-align: left; color: var(--muted); font-size: .85rem; padding: 0 0 6px }
th, td {
  text-align: left; vertical-align: top; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word;
}
thead th { color: var(--muted); font-weight: 600; font-size: .82rem; vertical-align: bottom }
tbody th { font-weight: 600 }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
th.n:last-child, td.n:last-child { padding-right: 2px }
tbody tr:last-child > * { border-bottom: 0 }
details { margin: 10px 0; border-top: 1px solid var(--line); padding-top: 10px }
details > .scroll > table > caption {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
summary { cursor: pointer; font-weight: 600; font-size: .93rem }
.alarm { border: 1px solid var(--bad); background: var(--bad-soft); border-radius: 8px; padding: 12px 16px }
.alarm > p { color: var(--bad); font-weight: 700; margin: 0 }
.facts {
  margin: 12px 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr));
  gap: 10px 24px;
}
.facts dt { font-size: .82rem; color: var(--muted) }
.facts dd { margin: 0; overflow-wrap: anywhere; font-size: .95rem }
pre {
  margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .88rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
details pre { padding: 10px 0 }
.chat { display: grid; gap: 8px; margin: 8px 0 16px }
.turn { border-radius: 10px; padding: 8px 14px; background: var(--muted-soft); max-width: 88% }
.turn.answer { background: var(--prompting-soft); justify-self: end }
.turn .role { margin: 0; font-size: .75rem; color: var(--muted) }
.funnel { display: grid; gap: 8px; margin: 16px 0 }
.step { display: grid; gap: 0 14px; align-items: center; grid-template-columns: 130px minmax(0, 1fr) 230px }
.step p { margin: 0; overflow-wrap: anywhere }
.bar { display: flex; height: 20px; border-radius: 4px; background: var(--band); overflow: hidden }
.bar .kept { background: var(--prompting) }
.bar .dropped { background: repeating-linear-gradient(45deg, var(--bad) 0 3px, transparent 3px 6px) }
.bar .train { background: var(--tuned) }
.bar .valid { background: var(--muted) }
.bar .test { background: var(--ink) }
@media (max-width: 900px) {
  body { display: block; padding: 16px 12px 40px }
  nav { display: none }
  section { padding: 18px 16px; border-radius: 10px }
  .step { grid-template-columns: 1fr }
  .turn { max-width: 100% }
}
@media print {
  :root { color-scheme: light }
  body { display: block; max-width: none; padding: 0; font-size: 11pt; background: #fff }
  nav { display: none }
  section { border: 0; padding: 0 0 14pt; break-inside: auto }
  h2, h3, caption, thead { break-after: avoid }
  figure, .tiles, tr, .turn, .step { break-inside: avoid }
  .scroll { overflow: visible }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
"""
