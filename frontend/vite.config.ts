import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  base: '/static/plotting/bundle/',
  plugins: [svelte()],
  build: {
    outDir: '../plotting/static/plotting/bundle',
    emptyOutDir: true,
    manifest: true,
    target: 'es2023',
    // The page is served under a policy without data: URLs and inline code.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ['src/main.ts', 'src/search/main.ts'] },
  },
  worker: { format: 'es' },
  test: { environment: 'node', include: ['test/**/*.test.ts'] },
});
