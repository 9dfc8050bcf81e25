// `make bench`: measures what the budgets limit, prints a table and keeps it as docs/benchmarks.md. It is no test: no figure makes it fail.
// Run by scripts/bench from the root of the checkout; everything that is measured is in place, and environment variables say where.
import { execFileSync } from "node:child_process"
import { statSync, writeFileSync } from "node:fs"
import { cpus, totalmem } from "node:os"
import { controllerFigures, latencyFigures } from "./controller-figures.ts"
import { type Figure, table } from "./figure.ts"
import { kustomizeBuild } from "./kustomize-build.ts"
import { redactFigures } from "./redact.ts"
import { renderFigures } from "./render.ts"
import { secondRun } from "./second-run.ts"
import { workerFigures } from "./worker-start.ts"

const given = (name: string): string => {
  const value = process.env[name]
  if (value === undefined || value === "") throw new Error(`${name} is not set; start this with make bench`)
  return value
}

const began = performance.now()
const seconds = () => Math.round((performance.now() - began) / 1000)
const say = (what: string) => console.log(`  ..  ${String(seconds()).padStart(4)} s  ${what}`)

const imageSize = (): ReadonlyArray<Figure> => [
  { what: "image agent-job, unpacked", unit: "MB", budget: 150, values: [Number.parseFloat(given("BENCH_IMAGE_SIZE"))] },
  { what: "image agent-job, as an archive", unit: "MB", values: [statSync(given("BENCH_IMAGE_ARCHIVE")).size / 1_000_000] }
]

const surroundings = () => ({ directory: given("BENCH_DIRECTORY"), state: given("BENCH_STATE"), say })

/** The parts that can be measured each by itself, in the order of the table. */
const parts: Readonly<Record<string, () => Promise<ReadonlyArray<Figure>>>> = {
  latency: () => latencyFigures(surroundings()),
  controller: () => controllerFigures(surroundings()),
  worker: () =>
    workerFigures({
      kubeconfig: given("KUBECONFIG"),
      containerdSocket: given("BENCH_CONTAINERD"),
      runnerImage: given("BENCH_RUNNER_IMAGE"),
      say
    }),
  redact: async () => redactFigures(say),
  run: async () => secondRun(say),
  image: async () => imageSize(),
  render: async () => renderFigures(given("BENCH_DIRECTORY"), say),
  kustomize: async () => kustomizeBuild(say)
}

const commit = () => execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim()

const document = (figures: ReadonlyArray<Figure>) =>
  `# Benchmarks

Measured by \`make bench\`, which writes this anew: ${
    new Date().toISOString().slice(0, 10)
  }, commit ${commit()}, in ${seconds()} s on ${cpus().length} cores (${cpus()[0]?.model.trim()}) with ${
    Math.round(totalmem() / 2 ** 30)
  } GiB of memory.

- Repeated figures are min / median / max, judged by the median. A ratio is to the floor: what the same machine took in the same run for what nobody can save.
- The controller is the bundled program in a process of its own, with its image's environment and the heap that Node chooses in its Pod, against a
  control plane of its own, without rate limits. Its memory is what the kernel calls VmRSS and VmHWM.
- The controller is ready when /readyz answers 200; it is first asked when its log says so, since 100 questions a second keep it from getting ready.
- AgentTask to Job is from the reply to the POST of the task until a watch tells of the Job, at a fixed rate, 20 s each. The relay does nothing but POST a
  ready-made Job. No Job controller runs meanwhile: its Pods would take more of a small machine than all else together. For all other figures it does.
- Writes are counted in the audit log: all requests of the controller's account that are no reads, refused ones too. The tasks of the lives are those of no
  server, which somebody else creates. For a stage of a server's run the controller also creates the AgentTask and the Secret of its token, so a plan takes three
  writes and an apply four; and two when the history is full: the oldest AgentTask is deleted, and loses its finalizer.
- A worker's start is from the start of its container, as containerd tells it, to a line in its log, on the node of the embedded cluster.
- \`helm template\` renders a chart of finished text with the same objects, which is less work for it than the templates of a real one.

Where a budget is missed on two cores, this is why:

- **Ready, with 1,000 Jobs and Pods**: their 19 MB have to be read. Node alone takes 200 to 300 ms for that, after the 230 ms that it needs to start the program. Of
  these, 80 ms go into compiling functions that are called for the first time; a code cache would have them only if the build of the image ran a whole controller.
- **p99 at 50/s**: API server, controller and the garbage collectors of both share the two cores. In slow moments a plain POST takes 20 to 110 ms as well. Five runs of
  one day gave 58 to 381 ms.
- **\`render\`**: Node and the program take 150 ms to start, three times as long as all of Helm, which is compiled. A snapshot of the started program (\`node --build-snapshot\`)
  was tried: a third less, but it is experimental, and breaks where it has node:http in it.
- **Any figure in milliseconds**: processors differ. Redacting a log of which half is secrets took 0.9 s on two cores of an AMD EPYC, and takes 1.3 s with the
  same code on two of an Intel Xeon.

${table(figures)}
`

const chosen = process.argv.slice(2)
const whole = chosen.length === 0
const unknown = chosen.find((name) => !(name in parts))
if (unknown !== undefined) throw new Error(`There is no part ${unknown}; there are ${Object.keys(parts).join(", ")}`)
const figures: Array<Figure> = []
for (const [name, measure] of Object.entries(parts)) if (whole || chosen.includes(name)) figures.push(...await measure())
console.log(`\n${table(figures)}`)
if (whole) {
  writeFileSync("docs/benchmarks.md", document(figures))
  console.log("\nkept as docs/benchmarks.md")
}
