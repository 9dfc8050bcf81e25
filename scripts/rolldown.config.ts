// How the program becomes one file. In a bundle import.meta.main would be true for every module, so none but main.ts may ask it.
// CommonJS, since an import of node:http from an ES module reads all that it exports, its WebSocket too: Node's own undici, 20 ms of every start.
import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "rolldown"

// Of client-node only KubeConfig is used. Its index would bring all the generated models with it: 3 MB more, and 20 MB of memory.
const kubeConfig = fileURLToPath(new URL("../node_modules/@kubernetes/client-node/dist/config.js", import.meta.url))

// Effect measures text by ICU's rules, which take 10 ms to load and which only a table needs: they are loaded by the first one.
const segmenter = /new Intl\.Segmenter\(undefined, \{\s*granularity: "grapheme"\s*\}\)/u
const rulesOnDemand: Plugin = {
  name: "rules-on-demand",
  transform: {
    filter: { id: /effect\/dist\/cli\/CliOutput\.js$/u },
    handler: (code) => {
      if (!segmenter.test(code)) throw new Error("effect/cli/CliOutput makes its segmenter in another way now; fit or remove this plugin")
      return code.replace(segmenter, (made) => `{ segment: (text) => (${made}).segment(text) }`)
    }
  }
}

// Effect gives up the sending of a request when its answer is over, and its connection with it. Over TLS, Node tells that a request was sent one turn of its loop
// later, and a busy controller may have the answer by then: at 20 tasks a second one request in eight cost both sides a new handshake.
// A server that answers early and reads no further is given 5 s.
const destroyUnsent = /Effect\.onError\(\(\) => Effect\.sync\(\(\) => nodeRequest\.destroy\(\)\)\)(?=, Effect\.forkDetach)/u
const keptConnections: Plugin = {
  name: "kept-connections",
  transform: {
    filter: { id: /@effect\/platform-node\/dist\/NodeHttpClient\.js$/u },
    handler: (code) => {
      if (!destroyUnsent.test(code)) {
        throw new Error("@effect/platform-node/NodeHttpClient sends its requests in another way now; fit or remove this plugin")
      }
      return code.replace(
        destroyUnsent,
        "Effect.onError(() => Effect.sync(() => { nodeRequest.writableEnded && nodeRequest.res?.complete ? setTimeout(() => { if (!nodeRequest.writableFinished) nodeRequest.destroy() }, 5000).unref() : nodeRequest.destroy() }))"
      )
    }
  }
}

// One letter beyond ASCII doubles the text of the whole program in memory, 4 MiB of it; all of them are within strings and patterns.
const ascii: Plugin = {
  name: "ascii",
  generateBundle: (_, files) => {
    for (const file of Object.values(files)) {
      if (file.type !== "chunk") continue
      if (/\\[^\0-\x7f]|String\.raw`[^`]*[^\0-\x7f]/u.test(file.code)) {
        throw new Error("a letter beyond ASCII is where an escape would mean something else; spell it as one in the source")
      }
      file.code = file.code.replace(
        /[^\0-\x7f]/gu,
        (letter) => letter.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")
      )
    }
  }
}

export default defineConfig({
  input: "src/main.ts",
  platform: "node",
  plugins: [rulesOnDemand, keptConnections, ascii],
  resolve: { alias: { "@kubernetes/client-node": kubeConfig } },
  treeshake: { moduleSideEffects: (id) => !id.includes("/@kubernetes/client-node/dist/") },
  transform: { define: { "import.meta.main": "false", "import.meta.env": "undefined" } },
  output: { file: "dist/main.cjs", format: "cjs", minify: true, codeSplitting: false }
})
