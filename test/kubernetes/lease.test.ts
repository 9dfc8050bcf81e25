import { describe, expect, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Logger, Schema } from "effect"
import { TestClock } from "effect/testing"
import { make, SinceRenewal } from "../../src/kubernetes/lease.ts"
import { type Connection, FakeLease } from "./fake-lease.ts"

const seconds = Effect.map(Clock.currentTimeMillis, (now) => now / 1000)

/** A process that leads until it is stopped. `log` says when it began and ended to lead. */
const contender = Effect.fnUntraced(
  function*(fake: FakeLease, identity: string, lastWords: Effect.Effect<void> = Effect.void, state: Connection["state"] = "works") {
    const connection: Connection = { state }
    const log: Array<string> = []
    let leads = false
    const election = yield* make({ namespace: "team", name: "leader", identity, aftermath: 0 }).pipe(
      Effect.provide(fake.connect(connection))
    )
    const say = (what: string) => Effect.map(seconds, (now) => void log.push(`${what}@${now}`))
    const whileLeader = Effect.suspend(() => {
      leads = true
      return Effect.andThen(say("begins"), Effect.never)
    }).pipe(Effect.ensuring(Effect.andThen(
      lastWords,
      Effect.suspend(() => {
        leads = false
        return say("ends")
      })
    )))
    const fiber = yield* Effect.forkChild(election.lead(whileLeader))
    return { connection, election, log, leads: () => leads, stop: Fiber.interrupt(fiber) }
  }
)

describe("leader election", () => {
  it.effect("takes a lease that does not exist, renews it, and gives it back at the end", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a")
      yield* TestClock.adjust("1 second")
      expect(a.leads()).toBe(true)
      expect(fake.lease).toMatchObject({
        metadata: { namespace: "team", name: "leader" },
        spec: {
          holderIdentity: "a",
          leaseDurationSeconds: 15,
          acquireTime: "1970-01-01T00:00:00.000000Z",
          renewTime: "1970-01-01T00:00:00.000000Z",
          leaseTransitions: 0
        }
      })
      yield* TestClock.adjust("1 minute")
      expect(fake.lease).toMatchObject({ spec: { acquireTime: "1970-01-01T00:00:00.000000Z", renewTime: "1970-01-01T00:01:00.000000Z" } })
      yield* a.stop
      expect(a.log).toEqual(["begins@0", "ends@61"])
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "" } })
      expect(a.leads()).toBe(false)
    }))

  it.effect("makes one of two the leader that find the lease free at the same time, which is no trouble for the other to tell of", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      fake.edit({ spec: { holderIdentity: "" } })
      const levels: Array<string> = []
      const logger = Logger.layer([Logger.make(({ logLevel }) => levels.push(logLevel))])
      const both = yield* Effect.forEach(["a", "b"], (name) => contender(fake, name, Effect.void, "slow")).pipe(Effect.provide(logger))
      yield* TestClock.adjust("1 second")
      for (const { connection } of both) connection.state = "works" // but for the answers on the way, that nobody has it
      yield* TestClock.adjust("4 seconds")
      expect(both.map(({ leads }) => leads()).sort()).toEqual([false, true])
      expect(levels).not.toContain("Warn")
    }))

  it.effect("ends with a bug in what is answered at a renewal, and does not lead anew again and again", () =>
    Effect.gen(function*() {
      let leads = 0
      let answered = 0
      const election = yield* make({
        namespace: "team",
        name: "leader",
        identity: "a",
        aftermath: 0,
        answerAnnotations: (annotations) => answered++ > 0 ? Effect.die("a bug") : Effect.succeed(annotations)
      }).pipe(Effect.provide(new FakeLease().connect({ state: "works" })))
      const lead = election.lead(Effect.suspend(() => Effect.as(Effect.never, leads++)))
      const end = yield* Effect.forkChild(Effect.exit(lead))
      yield* TestClock.adjust("30 seconds")
      expect(end.pollUnsafe()).toEqual(Exit.succeed(Exit.die("a bug")))
      expect(leads).toBe(1)
    }))

  it.effect("heeds what others write on the lease within one renewal, and answers there", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const heard: Array<unknown> = []
      const answerAnnotations = (annotations: Readonly<Record<string, string>>) =>
        Effect.sync(() => {
          heard.push(annotations)
          return { ...annotations, answer: annotations["question"] ?? "none" }
        })
      const election = yield* make({ namespace: "team", name: "leader", identity: "a", aftermath: 0, answerAnnotations }).pipe(
        Effect.provide(fake.connect({ state: "works" }))
      )
      yield* Effect.forkChild(election.lead(Effect.never))
      yield* TestClock.adjust("3 seconds")
      expect(fake.lease?.metadata.annotations).toEqual({ answer: "none" })
      fake.edit({ annotations: { question: "why" } })
      yield* TestClock.adjust("2 seconds")
      expect(fake.lease?.metadata.annotations).toEqual({ question: "why", answer: "why" })
      expect(heard.at(-1)).toEqual({ question: "why" })
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "a" } })
    }))

  it.effect("hears before it leads what is written on a lease that it takes over", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      fake.edit({ spec: { holderIdentity: "" }, annotations: { question: "why" } })
      const log: Array<string> = []
      const answerAnnotations = (annotations: Readonly<Record<string, string>>) =>
        Effect.as(Effect.sync(() => log.push(annotations["question"] ?? "none")), annotations)
      const election = yield* make({ namespace: "team", name: "leader", identity: "a", aftermath: 0, answerAnnotations }).pipe(
        Effect.provide(fake.connect({ state: "works" }))
      )
      yield* election.lead(Effect.sync(() => log.push("leads")))
      expect(log).toEqual(["why", "leads"])
    }))

  /** A process that hears whether a former leader may still be at work. Here that is so for five seconds. */
  const listener = Effect.fnUntraced(function*(fake: FakeLease, identity: string) {
    const heard: Array<boolean> = []
    const answerAnnotations = (annotations: Readonly<Record<string, string>>, formerAtWork: boolean) =>
      Effect.as(Effect.sync(() => heard.push(formerAtWork)), annotations)
    const election = yield* make({ namespace: "team", name: "leader", identity, aftermath: "5 seconds", answerAnnotations }).pipe(
      Effect.provide(fake.connect({ state: "works" }))
    )
    return { heard, lead: Effect.forkChild(election.lead(Effect.never)) }
  })

  it.effect.each([
    { given: "from one that fell silent", holderIdentity: "b", heard: [true, true, true, false] },
    { given: "that was given back", holderIdentity: "", heard: [false, false, false, false] }
  ])("says for how long another may be at work when it has a lease $given", ({ heard, holderIdentity }) =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      fake.edit({ spec: { holderIdentity, leaseDurationSeconds: 0 } })
      const a = yield* listener(fake, "a")
      yield* a.lead
      yield* TestClock.adjust("7 seconds")
      expect(a.heard).toEqual(heard)
    }))

  it.effect("takes one whose lease was deleted to be at work", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* listener(fake, "a")
      fake.edit({ spec: { holderIdentity: "b", leaseDurationSeconds: 15 } })
      yield* a.lead
      yield* TestClock.adjust("1 second")
      fake.lease = undefined
      yield* TestClock.adjust("5 seconds")
      expect(a.heard[0]).toBe(true)
    }))

  it.effect("lets its lease run out while one that fell silent before may be at work, so that the next one hears of that", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      fake.edit({ spec: { holderIdentity: "silent", leaseDurationSeconds: 0 } })
      const [a, b] = [yield* listener(fake, "a"), yield* listener(fake, "b")]
      const first = yield* a.lead
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interrupt(first)
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "a" } })
      yield* b.lead
      yield* TestClock.adjust("20 seconds")
      expect(b.heard[0]).toBe(true)
    }))

  it.effect("ends with what it leads, and answers with its result", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const election = yield* make({ namespace: "team", name: "leader", identity: "a", aftermath: 0 }).pipe(
        Effect.provide(fake.connect({ state: "works" }))
      )
      expect(yield* election.lead(Effect.succeed(42))).toBe(42)
      expect(yield* Effect.flip(election.lead(Effect.fail("no")))).toBe("no")
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "" } })
    }))

  it.effect.each(["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])(
    "waits a whole duration after it last saw a change, even if the holder's clock says %s",
    (renewTime) =>
      Effect.gen(function*() {
        const fake = new FakeLease()
        const spec = { holderIdentity: "other", leaseDurationSeconds: 30, renewTime, leaseTransitions: 4 }
        fake.edit({ spec })
        const a = yield* contender(fake, "a")
        yield* TestClock.adjust("20 seconds")
        fake.edit({ spec: { ...spec, renewTime: "2050-01-01T00:00:00.000000Z" } })
        yield* TestClock.adjust("30 seconds")
        expect(a.leads()).toBe(false)
        fake.edit({ labels: { touched: "by a person" } }) // not a sign of life of the holder
        yield* TestClock.adjust("5 seconds")
        expect(a.leads()).toBe(true)
        expect(fake.lease).toMatchObject({
          metadata: { labels: { touched: "by a person" } },
          spec: { holderIdentity: "a", leaseDurationSeconds: 15, leaseTransitions: 5 }
        })
      })
  )

  it.effect("goes on through a short outage, a lost answer, and a label that somebody sets", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a")
      yield* TestClock.adjust("3 seconds")
      for (const state of ["refused", "hangs", "lost"] as const) {
        a.connection.state = state
        yield* TestClock.adjust("5 seconds")
        a.connection.state = "works"
        yield* TestClock.adjust("10 seconds")
      }
      fake.edit({ labels: { team: "infra" } })
      yield* TestClock.adjust("20 seconds")
      expect(a.log).toEqual(["begins@0"])
      expect(fake.lease?.metadata.labels).toEqual({ team: "infra" })
    }))

  it.effect.each(["refused", "hangs", "lost"] as const)(
    "stops before another may begin when its connection %s for long, and leads again later",
    (state) =>
      Effect.gen(function*() {
        const fake = new FakeLease()
        const a = yield* contender(fake, "a")
        yield* TestClock.adjust("3 seconds")
        const b = yield* contender(fake, "b")
        yield* TestClock.adjust("3 seconds")
        a.connection.state = state
        yield* TestClock.adjust("1 minute")
        const [, ended] = a.log.map((entry) => Number(entry.split("@")[1]))
        const [began] = b.log.map((entry) => Number(entry.split("@")[1]))
        expect(ended).toBeLessThan(18)
        expect(began).toBeGreaterThanOrEqual(19)
        a.connection.state = "works"
        yield* TestClock.adjust("1 minute")
        yield* b.stop
        yield* TestClock.adjust("5 seconds")
        expect([a.leads(), b.leads()]).toEqual([true, false])
      })
  )

  it.effect("leads for its time from when it sent a renewal, since others may count from then, however late the answer comes", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a")
      yield* TestClock.adjust("1 second")
      a.connection.state = "slow"
      yield* TestClock.adjust("2 seconds")
      a.connection.state = "hangs" // the answer to what was sent at 2 s comes at 6 s
      yield* TestClock.adjust("1 minute")
      a.connection.state = "works"
      expect(a.log).toEqual(["begins@0", "ends@12"])
    }))

  it.effect.each(
    [
      { call: "call", state: "slow", begins: 8 },
      { call: "write, for a webhook that is then passed over,", state: "passed", begins: 4 }
    ] as const
  )("leads, and goes on to lead, though each $call takes four seconds", ({ begins, state }) =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      fake.edit({ spec: { holderIdentity: "" } })
      const a = yield* contender(fake, "a", Effect.void, state)
      yield* TestClock.adjust("1 minute")
      a.connection.state = "works"
      expect(a.log).toEqual([`begins@${begins}`])
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "a", leaseTransitions: 1 } })
    }))

  it.effect.each(
    [
      { given: "a look", before: "awaited", said: "cannot look at the lease" },
      { given: "a renewal", before: "works", said: "cannot renew the lease" }
    ] as const
  )("tells of $given what the API server says of a write that it gave up for a webhook", ({ before, said }) => {
    const told: Array<unknown> = []
    return Effect.gen(function*() {
      const a = yield* contender(new FakeLease(), "a", Effect.void, before)
      yield* TestClock.adjust("1 second")
      a.connection.state = "awaited"
      yield* TestClock.adjust("8 seconds")
      a.connection.state = "works"
      expect(told[0]).toEqual([said, expect.stringContaining("such as a webhook")])
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ logLevel, message }) => logLevel === "Warn" && told.push(message))])))
  })

  it.effect("tells what it leads how old its last renewal is, and goes on to tell that once the lead is lost", () =>
    Effect.gen(function*() {
      const told: Array<number> = []
      const tell = Effect.flatMap(Effect.flatten(SinceRenewal), (millis) => Effect.sync(() => told.push(millis)))
      const connection: Connection = { state: "works" }
      const election = yield* make({ namespace: "team", name: "leader", identity: "a", aftermath: 0 }).pipe(
        Effect.provide(new FakeLease().connect(connection))
      )
      yield* Effect.forkChild(
        election.lead(Effect.ensuring(Effect.forever(Effect.delay(tell, "2500 millis")), Effect.delay(tell, "20 seconds")))
      )
      yield* TestClock.adjust("7 seconds") // the last renewal is of a second ago
      connection.state = "hangs"
      yield* TestClock.adjust("1 minute")
      connection.state = "works"
      expect(told.slice(0, 7)).toEqual([500, 1000, 1500, 4000, 6500, 9000, 30_000])
    }))

  it.effect("stops at once when another one holds the lease, and when it is deleted", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a")
      yield* TestClock.adjust("1 second")
      fake.edit({ spec: { holderIdentity: "thief", leaseDurationSeconds: 15 } })
      yield* TestClock.adjust("2 seconds")
      expect(a.log).toEqual(["begins@0", "ends@2"])
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "thief" } })
      yield* TestClock.adjust("20 seconds")
      expect(a.leads()).toBe(true)
      fake.lease = undefined
      yield* TestClock.adjust("5 seconds")
      expect(a.log.map((entry) => entry.split("@")[0])).toEqual(["begins", "ends", "begins", "ends", "begins"])
    }))

  it.effect("keeps the lease until what it leads has come to its end, then hands it over", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a", Effect.sleep("40 seconds"))
      yield* TestClock.adjust("1 second")
      const b = yield* contender(fake, "b")
      const stopping = yield* Effect.forkChild(a.stop)
      yield* TestClock.adjust("39 seconds")
      expect([a.leads(), b.leads()]).toEqual([true, false])
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(stopping)
      expect([a.leads(), b.leads()]).toEqual([false, true])
    }))

  it.effect("gives back a lease that it took without hearing of it", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a", Effect.void, "unanswered")
      yield* TestClock.adjust("1 second")
      expect([fake.lease?.["spec"], a.log]).toMatchObject([{ holderIdentity: "a" }, []])
      a.connection.state = "works"
      yield* a.stop
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "" } })
    }))

  it.effect("leads at once by a lease that it took without hearing of it", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a", Effect.void, "unanswered")
      yield* TestClock.adjust("1 second")
      a.connection.state = "works"
      yield* TestClock.adjust("8 seconds")
      expect(a.leads()).toBe(true)
      expect(fake.lease).toMatchObject({ spec: { leaseTransitions: 0 } }) // it has had no other holder
    }))

  it.effect("gives its lease back though somebody has changed a label of it", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a")
      yield* TestClock.adjust("1 second")
      fake.edit({ labels: { team: "infra" } })
      yield* a.stop
      expect(fake.lease).toMatchObject({ metadata: { labels: { team: "infra" } }, spec: { holderIdentity: "" } })
    }))

  it.effect("leaves another's lease alone when it stops in line", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a", Effect.void, "unanswered")
      yield* TestClock.adjust("1 second")
      fake.edit({ spec: { holderIdentity: "b", leaseDurationSeconds: 15 } })
      a.connection.state = "works"
      yield* a.stop
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "b" } })
    }))

  it.effect("does not hold up a shutdown when the API server does not answer", () =>
    Effect.gen(function*() {
      const fake = new FakeLease()
      const a = yield* contender(fake, "a")
      yield* TestClock.adjust("1 second")
      a.connection.state = "hangs"
      const stopping = yield* Effect.forkChild(a.stop)
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(stopping)
      expect(fake.lease).toMatchObject({ spec: { holderIdentity: "a" } })
    }))

  const Step = Schema.Struct({
    who: Schema.Literals([0, 1, 2]),
    state: Schema.Literals(["works", "refused", "lost", "slow", "hangs"]),
    wait: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 25 }))
  })
  it.effect.prop(
    "never has two leaders, and always one again once the connections work",
    { steps: Schema.Array(Step) },
    ({ steps }) =>
      Effect.gen(function*() {
        const fake = new FakeLease()
        const contenders = yield* Effect.forEach(["a", "b", "c"], (identity) => contender(fake, identity))
        const leaders = () => contenders.filter(({ leads }) => leads()).length
        for (const { state, wait, who } of steps) {
          const chosen = contenders[who]
          if (chosen !== undefined) chosen.connection.state = state
          for (let second = 0; second < wait; second++) {
            yield* TestClock.adjust(Duration.seconds(1))
            expect(leaders()).toBeLessThanOrEqual(1)
          }
        }
        for (const { connection } of contenders) connection.state = "works"
        yield* TestClock.adjust("40 seconds")
        expect(leaders()).toBe(1)
        yield* Effect.forEach(contenders, ({ stop }) => stop)
      }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))
  )
})
