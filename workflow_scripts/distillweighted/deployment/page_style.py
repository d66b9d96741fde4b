"""The look of a student's page: readable on a phone, and printed."""

CSS = """
:root { --ink: #1b1f24; --soft: #5b6470; --line: #d9dee4; --paper: #fff; --tint: #f4f6f8;
        --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
       font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 .6rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.2rem; }
p { margin: 0 0 .8rem; max-width: 46rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .7rem;
         margin: 1rem 0; }
.tile { background: var(--tint); border-radius: .4rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; }
.tile small { display: block; color: var(--soft); }
.verdict { border-left: 4px solid var(--accent); padding: .2rem 0 .2rem .9rem; font-size: 1.08rem; }
.note { color: var(--soft); font-size: .88rem; }
.figure { display: block; height: auto; max-width: 100%; margin: .4rem 0 .8rem; }
.wide { overflow-x: auto; margin: .4rem 0 .8rem; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid var(--line);
         white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal; }
.bold td { font-weight: 700; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr));
         gap: .9rem .7rem; margin: .3rem 0 1.2rem; }
.sheet figure { margin: 0; break-inside: avoid; }
.sheet img { width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--tint);
             border-radius: .25rem; display: block; }
.sheet img.small { image-rendering: pixelated; }
.sheet figcaption { font-size: .82rem; line-height: 1.3; margin-top: .25rem;
                    overflow-wrap: anywhere; }
.truth { color: #b34700; }
.name { display: block; color: var(--soft); font-size: .7rem; }
dl { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: .3rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--tint); border-radius: .4rem; padding: .7rem .9rem; overflow-x: auto; }
@media (max-width: 34rem) {
  body { font-size: 15px; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  .sheet { grid-template-columns: repeat(auto-fill, minmax(5.6rem, 1fr)); }
}
@media print {
  main { max-width: none; padding: 0; }
  body { font-size: 10pt; }
  section { margin-top: 1rem; padding-top: .6rem; }
  h2 { break-after: avoid; }
  .tile, .figure, tr { break-inside: avoid; }
  .figure { min-width: 0 !important; }
  .wide { overflow: visible; }
  th, td { white-space: normal; padding: .2rem .35rem; }
  .sheet { grid-template-columns: repeat(6, 1fr); }
}
"""
"""The style sheet."""
