/** The Runs page, put together. */

import { mount } from 'svelte';
import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
import '../view/tokens.css';
import './view/search.css';
import { LiveSocket, type SocketLike } from '../wire/socket';
import App from './view/App.svelte';
import { Live } from './view/live.svelte';
import { SearchPage } from './view/page.svelte';
import { Catalogue } from './wire/catalogue';
import { Runs } from './wire/runs';
import { Searches } from './wire/searches';

interface Boot {
  user: { name: string };
  api: string;
  live: string;
}

const boot = JSON.parse(document.getElementById('streamvis-boot')!.textContent) as Boot;
const csrfToken = document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? '';

const access = { api: boot.api, csrfToken };
const page = new SearchPage(new Runs(access));
const live = new Live();
const address = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${boot.live}`;
const socket = new LiveSocket(() => new WebSocket(address) as unknown as SocketLike, {
  onHello: () => page.changed(),
  onHints: () => page.changed(),
  onState: (state) => { live.state = state; },
});
socket.subscribe(null);
window.addEventListener('online', () => socket.reconnectNow());
document.addEventListener('visibilitychange', () => { if (!document.hidden) page.changed(); });
mount(App, { target: document.getElementById('app')!, props: { page, live, catalogue: new Catalogue(access), searches: new Searches(access), user: boot.user.name, csrfToken } });
page.load();
