// How the program becomes one file. In a bundle import.meta.main would be true for every module, so none but main.ts may ask it.
export default {
  input: "src/main.ts",
  platform: "node",
  transform: { define: { "import.meta.main": "false" } },
  output: { file: "dist/main.mjs", format: "esm", minify: true, codeSplitting: false }
}
