// What was typed to reach the server and the cluster is in each command that a person is told to type next.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { withItsFlags } from "../../../src/cli/agent-job.ts"
import { ran } from "../typed.ts"

const nobody = "http://127.0.0.1:9"

describe("a command that is told to type", () => {
  it.each([
    {
      typed: ["logs", "-f", "plan", "--context", "prod"],
      told: "follow it anew with: agent-job logs -f plan --namespace tasks",
      as: "follow it anew with: agent-job logs --context prod -f plan --namespace tasks"
    },
    {
      typed: ["run", ".", "--url=https://runs.example", "--token-file", "my token"],
      told: "agent-job approve run-1, or agent-job discard run-1",
      as:
        "agent-job approve --url https://runs.example --token-file 'my token' run-1, or agent-job discard --url https://runs.example --token-file 'my token' run-1"
    },
    {
      typed: ["get", "workspaces", "--url", "https://runs.example", "--context", "prod"],
      told: "agent-job state rescue demo",
      as: "agent-job state rescue --url https://runs.example demo"
    },
    {
      typed: ["migrate", "--context", "prod"],
      told: "helm -n scalr uninstall blue; a | xargs kubectl wait --for=b; bring it in order with helm rollback or helm upgrade, then try",
      as:
        "helm --kube-context prod -n scalr uninstall blue; a | xargs kubectl --context prod wait --for=b; bring it in order with helm --kube-context prod rollback or helm --kube-context prod upgrade, then try"
    },
    {
      typed: ["drain", "--context=$&"],
      told: "see kubectl -n agent-job get pods; as kubectl shows",
      as: "see kubectl --context '$&' -n agent-job get pods; as kubectl shows"
    }
  ])("has the flags of $typed that it knows", ({ as, told, typed }) => expect(withItsFlags(typed)(told)).toBe(as))

  it.each([
    { why: "none was typed", typed: ["logs", "-f", "plan"], told: "agent-job logs -f plan" },
    { why: "it was typed as something else", typed: ["logs", "--", "--context", "prod"], told: "agent-job logs -f plan" },
    { why: "the command has none of them", typed: ["get", "--url", nobody], told: "agent-job config validate" },
    { why: "it is no command", typed: ["get", "--url", nobody], told: `The agent-job server at ${nobody} is busy` }
  ])("is as it is where $why", ({ told, typed }) => expect(withItsFlags(typed)(told)).toBe(told))

  it.live("has them in the errors of a command, and can be typed so", () =>
    Effect.gen(function*() {
      const { code, error } = yield* ran({}, "approve", "plan", "--url", nobody)
      expect([code, error]).toEqual([2, `error: "plan" is not the id of a run; \`agent-job get --url ${nobody} runs\` lists them.\n`])
      expect((yield* ran({}, "get", "--url", nobody, "runs")).code).toBe(4)
    }))
})
