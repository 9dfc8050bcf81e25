// How the program becomes one file. In a bundle import.meta.main would be true for every module, so none but main.ts may ask it.
import { fileURLToPath } from "node:url"

// Of client-node only KubeConfig is used. Its index would bring all the generated models with it: 3 MB more, and 20 MB of memory.
const kubeConfig = fileURLToPath(new URL("../node_modules/@kubernetes/client-node/dist/config.js", import.meta.url))

export default {
  input: "src/main.ts",
  platform: "node",
  resolve: { alias: { "@kubernetes/client-node": kubeConfig } },
  treeshake: { moduleSideEffects: (id) => !id.includes("/@kubernetes/client-node/dist/") },
  transform: { define: { "import.meta.main": "false" } },
  output: { file: "dist/main.mjs", format: "esm", minify: true, codeSplitting: false }
}
