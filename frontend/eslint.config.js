import tseslint from 'typescript-eslint';

/** model <- wire <- gpu <- view: a folder imports only what stands to its left. */
const arrows = {
  model: ['wire', 'gpu', 'view'],
  wire: ['gpu', 'view'],
  gpu: ['view'],
  // The page gets its renderer handed in, so that main.ts alone sees all four.
  view: ['gpu'],
  // The Runs page has the same arrows inside, and of the plot page only its pure and wire modules.
  'search/model': ['wire', 'gpu', 'view'],
  'search/wire': ['gpu', 'view'],
  'search/view': ['gpu'],
};

const layer = ([folder, forbidden]) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      { patterns: [{ group: forbidden.map((name) => `**/${name}/**`), message: `${folder}/ may not import this folder` }] },
    ],
  },
});

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/'] },
  ...tseslint.configs.strict,
  {
    files: ['src/**/*.ts', 'test/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 80 }],
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['test/**/*.ts'], rules: { 'max-lines-per-function': 'off' } },
  ...Object.entries(arrows).map(layer),
);
