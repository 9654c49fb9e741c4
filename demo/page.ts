import { marked } from 'marked';

/** One chapter of the demo, with the job summaries as GitHub shows them. */
export interface Chapter {
  readonly title: string;
  readonly summary: string;
  readonly jobs: readonly {
    readonly name: string;
    readonly green: boolean;
    readonly expected: boolean;
    readonly summary: string;
    readonly seconds: number;
  }[];
  /** The answers of the instances over Run Command. */
  readonly proof?: string;
}

const STYLE = `
body { margin: 0; background: #f6f8fa; color: #1f2328; font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
main { max-width: 1180px; margin: 0 auto; padding: 32px 16px 64px }
h1 { font-size: 26px; margin: 0 0 4px } h2 { font-size: 20px; margin: 40px 0 4px } .intro { color: #59636e; margin: 0 0 12px }
.job { background: #fff; border: 1px solid #d1d9e0; border-radius: 6px; margin: 12px 0 }
.job > header { display: flex; gap: 8px; align-items: center; padding: 10px 16px; border-bottom: 1px solid #d1d9e0; font-weight: 600 }
.job > header small { margin-left: auto; color: #59636e; font-weight: 400 }
.job > div { padding: 4px 16px 12px; overflow-x: auto }
.mark { width: 16px; height: 16px; border-radius: 50%; color: #fff; font-size: 11px; line-height: 16px; text-align: center }
.ok { background: #1a7f37 } .bad { background: #d1242f }
table { border-collapse: collapse; margin: 12px 0; display: block; overflow-x: auto } th, td { border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left } th { background: #f6f8fa } th, td code { white-space: nowrap }
td { vertical-align: top }
code { background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 85% ui-monospace, SFMono-Regular, Menlo, monospace }
pre { background: #f6f8fa; border-radius: 6px; padding: 12px; white-space: pre-wrap } pre code { background: none; padding: 0 }
h3 { font-size: 18px; margin: 16px 0 8px } details { margin: 8px 0 } summary { cursor: pointer; color: #59636e }
.chart { display: grid; grid-template-columns: max-content 1fr; gap: 4px 12px; margin: 12px 0; font-size: 12px } .chart div { position: relative; background: #f6f8fa; height: 16px }
.chart i { position: absolute; top: 0; bottom: 0; background: #54aeff; border-radius: 3px } .chart i.crit { background: #d1242f }
.stages { display: flex; gap: 12px; align-items: center; margin: 12px 0 } .stages span { border: 1px solid #d1d9e0; border-radius: 6px; padding: 8px 16px; text-align: center }
nav { margin: 16px 0 } nav a { display: block; color: #0969da; text-decoration: none } .proof pre { background: #ddf4ff }
`;

/** One self-contained page. Summaries hold output of instances, so the page allows no script. */
export async function page(chapters: readonly Chapter[], figures: string): Promise<string> {
  const parts = await Promise.all(chapters.map(chapterHtml));
  const contents = chapters.map(({ title }, i) => `<a href="#c${i}">${i + 1}. ${escaped(title)}</a>`).join('');
  return htmlPage(
    `<h1>An image from commit to prod</h1><p class="intro">${escaped(figures)}</p><nav>${contents}</nav>${parts.join('')}`,
    "default-src 'none'; style-src 'unsafe-inline'",
  );
}

export const htmlPage = (body: string, policy: string): string =>
  [
    '<!doctype html><html lang="en"><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width"><title>ami-action: the demo</title>',
    `<style>${STYLE}</style><main>${body}</main></html>\n`,
  ].join('\n');

async function chapterHtml({ title, summary: intro, jobs, proof }: Chapter, index: number): Promise<string> {
  const shown = await Promise.all(
    jobs.map(async ({ name, green, expected, summary, seconds }, job) => {
      const body = await summaryHtml(summary);
      const unexpected = green === expected ? '' : ' (unexpected result)';
      return `<section class="job" id="c${index}-j${job}"><header><span class="mark ${green ? 'ok' : 'bad'}">${green ? '✓' : '✕'}</span>${escaped(name)}${unexpected}<small>${seconds.toFixed(1)} s</small></header><div>${body}</div></section>`;
    }),
  );
  const answers =
    proof === undefined
      ? ''
      : `<section class="job proof"><header>Answers of the instances over Run Command</header><div><pre>${escaped(proof)}</pre></div></section>`;
  return `<h2 id="c${index}">${index + 1}. ${escaped(title)}</h2><p class="intro">${escaped(intro)}</p>${shown.join('')}${answers}`;
}

/** A summary as GitHub shows it. */
async function summaryHtml(summary: string): Promise<string> {
  const html = await marked.parse(summary, { gfm: true });
  return html.replace(/<pre><code class="language-mermaid">([\s\S]*?)<\/code><\/pre>/g, (_, chart: string) =>
    chart.startsWith('flowchart') ? stagesHtml(chart) : chartHtml(chart),
  );
}

/** GitHub draws the charts with Mermaid. This page has no script, so it draws the two kinds that summaries use. */
function stagesHtml(chart: string): string {
  const nodes = [...chart.matchAll(/n\d+\[&quot;(.*?)&lt;br\/&gt;(.*?)&quot;\]/g)];
  return `<div class="stages">${nodes.map(([, name, rest]) => `<span><b>${name}</b><br>${rest}</span>`).join('→')}</div>`;
}

function chartHtml(chart: string): string {
  const bars = [...chart.matchAll(/^ {2}(.+) :(crit, )?(\d+), (\d+)$/gm)].map(([, label = '', crit, from, to]) => ({
    ...{ label, crit: crit !== undefined, from: Number(from), to: Number(to) },
  }));
  const [start, end] = [Math.min(...bars.map(({ from }) => from)), Math.max(...bars.map(({ to }) => to))];
  const percent = (seconds: number) => ((seconds * 100) / (end - start || 1)).toFixed(1);
  const rows = bars.map(
    ({ label, crit, from, to }) =>
      `<span>${label}</span><div><i${crit ? ' class="crit"' : ''} style="left: ${percent(from - start)}%; width: ${percent(to - from)}%"></i></div>`,
  );
  return `<div class="chart">${rows.join('')}</div>`;
}

const escaped = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
