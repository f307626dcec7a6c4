// The build copies the library beside the page as vendor/lightweight-charts.mjs; its types are those of its package.
export * from 'lightweight-charts';
