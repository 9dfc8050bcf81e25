// What a Pod's environment tells its worker.
// Used by the tests of this folder.
import { ConfigProvider, Layer } from "effect"
import { Settings } from "../../src/worker/settings.ts"

type Variables = Readonly<Record<string, string>>

export const podEnvironment = (dataDirectory: string, privateDirectory: string, more: Variables = {}): Variables => ({
  AGENT_JOB_NAMESPACE: "tasks",
  AGENT_JOB_TASK: "demo",
  AGENT_JOB_TASK_UID: "task-uid", // as in fake-kubernetes.ts
  AGENT_JOB_JOB: "agent-job-demo",
  AGENT_JOB_CONFIG_HASH: "c0ffee",
  AGENT_JOB_POD_NAME: "demo-abcde",
  AGENT_JOB_POD_UID: "pod-uid",
  AGENT_JOB_NODE: "node-1",
  AGENT_JOB_EPOCH: "0",
  AGENT_JOB_DATA_DIR: dataDirectory,
  AGENT_JOB_PRIVATE_DIR: privateDirectory,
  AGENT_JOB_GRACE_SECONDS: "30",
  ...more
})

/** The settings of a Pod, for parts of the worker that need no more of it than its directories. */
export const podSettings = (...environment: Parameters<typeof podEnvironment>): Layer.Layer<Settings> =>
  Settings.layer.pipe(Layer.orDie, Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(podEnvironment(...environment)))))
