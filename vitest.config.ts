// The kinds of tests, by file name: *.test.ts needs nothing, and in some folders takes long; *.cluster.test.ts needs a real API server,
// *.faults.test.ts one for many minutes, and *.node, *.alone and *.kills a node with the product; *.gitops has its own control plane with Flux,
// *.long that and programs that take half an hour to build. The kubeconfig of whoever runs them is never used.
import { randomInt } from "node:crypto"
import { homedir } from "node:os"
import { join } from "node:path"
import { defineConfig } from "vitest/config"

const { XDG_CACHE_HOME = "" } = process.env
const caches = XDG_CACHE_HOME === "" ? join(homedir(), ".cache") : XDG_CACHE_HOME // the same rule as in the scripts
const cache = process.env.CLUSTER_CACHE ?? join(caches, "agent-job-cluster")
const state = process.env.CLUSTER_STATE ?? (process.getuid?.() === 0 ? "/var/lib/agent-job-cluster" : join(cache, "state"))
const env = { KUBECONFIG: process.env.TEST_KUBECONFIG ?? join(state, "kubeconfig"), PATH: `${join(cache, "bin")}:${process.env.PATH}` }
const withCluster = ["cluster", "faults", "node", "alone", "kills", "gitops", "long"].map((kind) => `test/**/*.${kind}.test.ts`)
const simulation = "test/simulation/**/*.test.ts"
/** The folders of what really listens, writes files and starts programs, or gets very much: a few minutes, where all else takes one. */
const processes = [
  "test/main.test.ts",
  "test/{http,kubernetes}/connections.test.ts",
  "test/{bin,cli,faults,fuzz,runner,scripts,server,tally,worker}/**/*.test.ts"
]

/**
 * Ends what hangs, and nothing else: what tests wait for has deadlines of its own, and a busy machine may take twenty times longer than an
 * idle one. A planted bug often makes a test hang, so `make mutants` has less.
 */
const patience = Number(process.env.TEST_PATIENCE ?? 1_200_000)

// The gitops tests have their own cluster: what they do to CRDs and policies would disturb other tests, and on a cluster in use its Flux.
const gitopsCache = process.env.GITOPS_CACHE ?? join(caches, "agent-job-gitops")
const ownState = process.env.GITOPS_STATE ?? join(gitopsCache, "state")
const ownCluster = {
  CLUSTER_STATE: ownState,
  CLUSTER_PORT_OFFSET: process.env.GITOPS_PORT_OFFSET ?? "18000",
  GITOPS_CACHE: gitopsCache,
  KUBECONFIG: join(ownState, "kubeconfig"),
  PATH: `${join(gitopsCache, "bin")}:${env.PATH}`
}
const gitops = {
  globalSetup: "test/gitops/setup.ts",
  env: ownCluster,
  fileParallelism: false,
  testTimeout: patience,
  hookTimeout: patience
}

/** Without isolation a worker loads modules once: most of these files take less time than their modules. */
const together = { isolate: false, testTimeout: patience, hookTimeout: patience }

const node = { globalSetup: "test/end-to-end/setup.ts", env, testTimeout: patience, hookTimeout: patience }

const PROPERTY_SEED = process.env.PROPERTY_SEED ?? String(randomInt(2 ** 31))
console.log(`property seed ${PROPERTY_SEED}`)

/** Halves what it takes a test to start the program, which is hundreds of modules. */
const NODE_COMPILE_CACHE = join(import.meta.dirname, ".cache/compile")

export default defineConfig({
  test: {
    setupFiles: ["test/arbitrary.setup.ts"],
    env: { PROPERTY_SEED, NODE_COMPILE_CACHE },
    maxWorkers: 2,
    execArgv: ["--single-threaded-gc"], // two workers keep two processors busy, and helpers of the collector would only get in their way
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["test/**/*.test.ts"], exclude: [...withCluster, ...processes, simulation], ...together }
      },
      { extends: true, test: { name: "process", include: processes, exclude: withCluster, ...together } },
      // Its schedules are in four files, its crash points in two, and each takes as long as all else: with a worker for each, no processor is
      // idle at the end. They may get little of the processors while other tests run.
      {
        extends: true,
        test: {
          name: "simulation",
          include: [simulation],
          exclude: withCluster,
          setupFiles: ["test/simulation.setup.ts"],
          maxWorkers: 6,
          sequence: { groupOrder: 1 }, // vitest refuses projects of one group that have different numbers of workers
          testTimeout: 3_000_000
        }
      },
      // Each control plane runs one file at a time, because what a file counts must not come from another one.
      {
        extends: true,
        test: {
          name: "cluster",
          include: ["test/**/*.cluster.test.ts"],
          setupFiles: ["test/cluster.setup.ts"],
          env,
          fileParallelism: process.env.TEST_KUBECONFIG_BESIDE !== undefined,
          testTimeout: patience,
          hookTimeout: patience
        }
      },
      {
        extends: true,
        test: {
          name: "faults",
          include: ["test/**/*.faults.test.ts"],
          env,
          fileParallelism: false,
          testTimeout: patience,
          hookTimeout: patience
        }
      },
      { extends: true, test: { name: "node", include: ["test/**/*.node.test.ts"], ...node } },
      // These take the node, or a part of the product, away from all other tests.
      { extends: true, test: { name: "alone", include: ["test/**/*.alone.test.ts"], ...node, fileParallelism: false } },
      { extends: true, test: { name: "kills", include: ["test/**/*.kills.test.ts"], ...node, fileParallelism: false } },
      { extends: true, test: { name: "gitops", include: ["test/**/*.gitops.test.ts"], ...gitops } },
      { extends: true, test: { name: "long", include: ["test/**/*.long.test.ts"], ...gitops } }
    ]
  }
})
