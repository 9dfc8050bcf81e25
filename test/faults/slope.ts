// How a figure grows, by Theil and Sen: the median of the slopes between all pairs of points, which no outlier moves.
// Its error is half of Sen's interval, in which the true slope is with 95 % confidence. Pure.
// Used by the soak.
type Point = readonly [at: number, value: number]

/** Growth per unit of `at`; the true one is at most `error` from it, nineteen times in twenty. */
interface Slope {
  readonly slope: number
  readonly error: number
}

/** Returns 0 for less than two points. It compares every pair of at most 500 points, spread evenly. */
export const slope = (points: ReadonlyArray<Point>): Slope => {
  const step = Math.max(1, Math.ceil(points.length / 500))
  const some = points.filter((_, index) => index % step === 0)
  const slopes = some.flatMap(([x, y], index) =>
    some.slice(index + 1).flatMap(([later, value]) => later > x ? [(value - y) / (later - x)] : [])
  ).sort((a, b) => a - b)
  const [pairs, count] = [slopes.length, some.length]
  const within = 1.96 * Math.sqrt(count * (count - 1) * (2 * count + 5) / 18) // how many of the slopes, around their median
  const at = (index: number) => slopes[Math.min(Math.max(Math.round(index), 0), pairs - 1)] ?? 0
  return { slope: at(Math.floor(pairs / 2)), error: (at((pairs + within) / 2) - at((pairs - within) / 2)) / 2 }
}
