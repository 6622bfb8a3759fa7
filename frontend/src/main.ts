/** The plot page, put together: the only place that knows model, wire, gpu and view. */

import { mount } from 'svelte';
import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
import './view/tokens.css';
import './view/page.css';
import './view/plot.css';
import { rendererFactory } from './gpu/choose';
import App from './view/App.svelte';
import { exposeForTests } from './view/expose';
import { Page } from './view/page.svelte';
import { PlotElement } from './view/plot-element';
import { Catalogue } from './wire/catalogue';
import { PlotFeed } from './wire/client';

interface Boot {
  user: { name: string };
  api: string;
  live: string;
}

const boot = JSON.parse(document.getElementById('streamvis-boot')!.textContent) as Boot;
const csrfToken = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? '';
const access = { api: boot.api, csrfToken };

customElements.define('streamvis-plot', PlotElement);

const feed = new PlotFeed(access, boot.live, {
  onScene: (patches, info) => page.receive(patches, info),
  onState: (state, problem) => page.setLive(state, problem),
  onRuns: () => page.runsChanged(),
  onHit: (hit) => plot.receiveHit(hit),
});
const page = new Page(new Catalogue(access), feed);
const plot = document.createElement('streamvis-plot') as PlotElement;
plot.connect(feed, rendererFactory(page.document.renderer));
page.attach(plot);
mount(App, { target: document.getElementById('app')!, props: { page, plot, user: boot.user.name, csrfToken } });
exposeForTests(page, plot);
void page.load();
