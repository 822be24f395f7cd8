"""How the page looks: on a desk, on a phone, at night and on paper."""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --ground: #fbfaf7; --card: #ffffff; --ink: #1d1f21; --soft: #5c6166; --rule: #e2dfd8;
  --good: #2f7d5b; --bad: #b3261e; --unsure: #a79f90; --none: #e4e0d8;
  --critical: #8f1320; --high: #cf5b2e; --medium: #d9a930; --low: #8b97a3;
  --line-one: #2b5f8f; --line-two: #2f7d5b; --plain: #6d8299;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #16181a; --card: #1e2124; --ink: #e8e6e1; --soft: #a3a9af; --rule: #33383d;
    --good: #4fa681; --bad: #e5675c; --unsure: #7d776c; --none: #33383d;
    --critical: #d8475a; --high: #e58a5f; --medium: #dcb758; --low: #7f8b97;
    --line-one: #6fa8dc; --line-two: #4fa681; --plain: #7d93ab;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Cantarell, "Noto Sans", sans-serif;
}
main, header, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.25rem; }
h1 { font-size: 1.6rem; font-weight: 650; letter-spacing: -.01em; margin: 0; }
h2 { font-size: 1.05rem; font-weight: 650; margin: 0 0 .9rem; }
p { margin: .25rem 0; }
.soft, footer { color: var(--soft); font-size: .875rem; }
section {
  background: var(--card); border: 1px solid var(--rule); border-radius: .5rem;
  padding: 1.25rem 1.4rem; margin: 1.25rem 0;
}
.numbers { margin: 0; display: grid; grid-template-columns: repeat(4, 1fr); gap: 1.25rem; }
.numbers dt { color: var(--soft); font-size: .875rem; }
.numbers dd { margin: 0; font-size: 2rem; font-weight: 600; line-height: 1.2; }
.numbers dd, td.n { font-variant-numeric: tabular-nums; }
.numbers small { display: block; font-size: .875rem; font-weight: 400; color: var(--soft); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1.25rem; }
.pair section { margin: 0; min-width: 0; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: .8rem; }
th, td { padding: .42rem .75rem .42rem 0; vertical-align: top; overflow-wrap: anywhere; }
td { border-top: 1px solid var(--rule); }
th.n, td.n { text-align: right; padding-right: 0; padding-left: .75rem; white-space: nowrap; }
td.check { width: 44%; }
td.check span { display: block; color: var(--soft); font-size: .82rem; }
td.middle { width: 34%; }
td.middle { padding-top: .82rem; }
.bar { display: block; width: 100%; height: .62rem; border-radius: 2px; background: var(--none); }
.plot { display: block; width: 100%; height: 9rem; border-bottom: 1px solid var(--soft);
  border-top: 1px dashed var(--rule); }
.good { fill: var(--good); } .bad { fill: var(--bad); } .unsure { fill: var(--unsure); }
.none { fill: var(--none); } .plain { fill: var(--plain); }
.critical { fill: var(--critical); } .high { fill: var(--high); }
.medium { fill: var(--medium); } .low { fill: var(--low); }
polyline { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
polyline.one { stroke: var(--line-one); } polyline.two { stroke: var(--line-two); }
.most, .ends { color: var(--soft); font-size: .8rem; font-variant-numeric: tabular-nums; }
.ends { display: flex; justify-content: space-between; margin-top: .25rem; }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .6rem 0 0;
  padding: 0; font-size: .84rem; color: var(--soft); }
ul.legend svg { width: .7rem; height: .7rem; margin-right: .4rem; border-radius: 2px; }
.legend .one { fill: var(--line-one); } .legend .two { fill: var(--line-two); }
footer { padding-bottom: 2.5rem; }
@media (max-width: 44rem) {
  main, header, footer { padding: 0 1rem; }
  header { padding-top: 1.5rem; }
  section { padding: 1rem; }
  .numbers { grid-template-columns: 1fr 1fr; }
  .numbers dd { font-size: 1.6rem; }
  .pair { grid-template-columns: 1fr; }
  .wide { display: none; }
  td.check { width: auto; }
  td.middle { width: 30%; }
}
@media print {
  :root { --ground: #fff; --card: #fff; }
  body { font-size: 11pt; }
  section { break-inside: avoid; border: 0; border-top: 1px solid #999; border-radius: 0;
    padding: .8rem 0; }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
