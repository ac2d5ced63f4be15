// From probabilities to an answer by the policy of the classifier: what `linnaea/decisions.py` decides, number by number.
// Probabilities are float32, and one threshold for all classes is compared as such; thresholds of classes are float64.

const ROOT = "anything";
const least = (given) => Math.fround(given);

const SETS = {
  lac: (p, policy) => p.map((value) => value >= least(policy.set_threshold)),
  risk: (p, policy) => SETS.lac(p, policy),
  aps: (p, policy) => massAbove(p, policy).map((mass) => mass <= policy.set_threshold),
  raps: (p, policy) => SETS.aps(p, policy),
  class_conditional: (p, policy) => p.map((value, k) => value >= policy.set_thresholds[k]),
  clustered: (p, policy) => SETS.class_conditional(p, policy),
  answer_conditional: (p, policy) => p.map((value) => value >= policy.set_thresholds[likeliest(p)]),
};
const RULES = { binary: oneLabel, multiclass: oneLabel, multilabel: severalLabels, hierarchical: rolledUp };

/** Whether this page knows the rules of a classifier. */
export function decides({ task, policy }) {
  return task in RULES && (policy.sets ?? "lac") in SETS;
}

/** { label, confidence, prediction_set, reason } of one image; `score` is its OOD score, null where there is none. */
export function answer({ task, classes, policy }, probabilities, score) {
  const p = Array.from(probabilities);
  if (![...p, score ?? 0].every(Number.isFinite)) {
    return { label: null, confidence: null, prediction_set: null, reason: "undefined" };
  }
  const { label, confidence, set } = RULES[task](classes, p, policy);
  const strange = score !== null && policy.ood_threshold != null && score > least(policy.ood_threshold);
  const unsure = confidence < least(policy.confidence_threshold);
  return { label, confidence, prediction_set: set, reason: strange ? "unfamiliar" : unsure ? "unsure" : "ok" };
}

/** The classes, the most probable first; of equal ones in their own order. */
export function ranked(p) {
  return p.map((_, k) => k).sort((one, other) => p[other] - p[one] || one - other);
}

function likeliest(p) {
  return p.indexOf(Math.max(...p));
}

function oneLabel(classes, p, policy) {
  let chosen = likeliest(p);
  if (policy.thresholds?.length) chosen = p[1] >= least(policy.thresholds[0]) ? 1 : 0;
  const inSet = SETS[policy.sets ?? "lac"](p, policy);
  const set = ranked(p).filter((k) => inSet[k] || p[k] >= p[chosen]);
  return { label: classes[chosen], confidence: p[chosen], set: set.map((k) => classes[k]) };
}

function severalLabels(classes, p, policy) {
  const own = policy.thresholds?.length ? policy.thresholds : p.map(() => 0.5);
  const there = p.map((value, k) => value >= (own.length === 1 ? own[0] : own[k]));
  const confidence = Math.min(...p.map((value, k) => (there[k] ? value : Math.fround(1 - value))));
  const inSet = SETS[policy.sets ?? "lac"](p, policy);
  const named = (chosen) => ranked(p).filter((k) => chosen[k]).map((k) => classes[k]);
  return { label: named(there), confidence, set: named(inSet) };
}

/** The deepest node whose probability, the sum over its classes, reaches the threshold; else the root. */
function rolledUp(classes, p, policy) {
  const plain = oneLabel(classes, p, { ...policy, thresholds: [] });
  if (!policy.thresholds?.length) return plain;
  const { root, ways } = waysDown(classes, policy.parents ?? []);
  const depth = Math.max(1, ...ways.map((way) => way.length));
  let decided = null;
  for (let level = depth - 1; level >= 0; level--) {
    const sums = new Map();
    ways.forEach((way, k) => {
      const node = way[Math.min(level, way.length - 1)] ?? classes[k];
      sums.set(node, Math.fround((sums.get(node) ?? 0) + p[k]));
    });
    const [label, confidence] = [...sums].reduce((best, one) => (one[1] > best[1] ? one : best));
    if (confidence >= least(policy.thresholds[0])) return { label, confidence, set: plain.set };
    decided = { label: root, confidence, set: plain.set };
  }
  return decided;
}

/** The root of the tree over the classes, and for each class the nodes from below the root down to itself. */
function waysDown(classes, parents) {
  const above = new Map(parents);
  const ways = classes.map((name) => {
    const way = [name];
    while (above.has(way[0])) way.unshift(above.get(way[0]));
    return way;
  });
  let shared = 0;
  while (ways.every((way) => way.length > shared && way[shared] === ways[0][shared])) shared++;
  return { root: shared ? ways[0][shared - 1] : ROOT, ways: ways.map((way) => way.slice(shared)) };
}

/** For each class the probability of those that are likelier, and a penalty for each beyond the first free ones. */
function massAbove(p, { set_penalty: penalty = 0, set_free: free = 0 }) {
  const masses = new Array(p.length);
  let sum = 0;
  ranked(p).forEach((k, place) => {
    sum += p[k];
    masses[k] = sum - p[k] + penalty * Math.max(0, place + 1 - free);
  });
  return masses;
}
