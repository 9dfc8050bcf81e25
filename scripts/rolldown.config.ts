// Bundles the program into one file. In a bundle import.meta.main would be true for every module, so it is replaced by false.
// It is CommonJS, because an ES module that imports node:http reads all its exports, and its WebSocket loads Node's undici: 20 ms a start.
import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "rolldown"
import { parts } from "./parts.ts"

// Only KubeConfig of client-node is used. The index of client-node would add all the generated models: 3 MB more, and 20 MB of memory.
const kubeConfig = fileURLToPath(new URL("../node_modules/@kubernetes/client-node/dist/config.js", import.meta.url))

// Effect measures text by ICU's rules, which take 10 ms to load. Only text beyond ASCII needs them, so the first such text loads them.
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

// Effect destroys a request that is not sent yet when its response ends, and its connection with it. Over TLS, Node reports that a request
// was sent one turn of its loop later, and a busy controller may have the response by then: at 20 tasks a second, one request in eight cost
// both sides a new handshake. So a request that was written may finish. If the server does not read it, it is destroyed after 5 s.
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

// One letter beyond ASCII doubles the text of the whole program in memory, 4 MiB. All such letters are in strings and patterns, so escapes
// replace them.
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
  plugins: [rulesOnDemand, keptConnections, ascii, parts],
  resolve: { alias: { "@kubernetes/client-node": kubeConfig } },
  treeshake: { moduleSideEffects: (id) => !id.includes("/@kubernetes/client-node/dist/") },
  transform: { define: { "import.meta.main": "false", "import.meta.env": "undefined" } },
  output: { file: "dist/main.cjs", format: "cjs", minify: true, codeSplitting: false }
})
