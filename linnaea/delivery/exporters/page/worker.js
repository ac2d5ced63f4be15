// What loads the model and answers, beside the page, which stays usable meanwhile.

import * as ort from "./onnxruntime/ort.js";
import { answer, decides } from "./decisions.js";
import { decode } from "./decoding.js";
import { Unreadable } from "./wholeness.js";

const PARTS = ["total_uncertainty", "aleatoric_uncertainty", "epistemic_uncertainty"];
const TOLERANCE = 1e-3;
const NOTHING = { label: null, confidence: null, prediction_set: null, ood_score: null, reason: "unreadable", detail: null };
const beside = (name) => new URL(name, import.meta.url).href;
let facts = null;
let expected = null;
let session = null;
let queue = start();

self.onmessage = ({ data: { id, name, file } }) => {
  queue = queue.then(async () => {
    if (session) postMessage({ kind: "answer", id, ...(await answered(name, file)) });
  });
};

async function start() {
  try {
    const told = ["../classifier.json", "expected.json"].map(async (name) => (await fetched(name)).json());
    [facts, expected] = await Promise.all(told);
    if (!decides(facts)) throw new Error(`this page does not know how a classifier of the task ${facts.task} decides`);
    const model = await withProgress(await fetched("../model.onnx"));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { mjs: beside("onnxruntime/ort-wasm.js"), wasm: beside("onnxruntime/ort-wasm.wasm") };
    session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    const gap = await compared();
    postMessage({ kind: "ready", facts, said: expected.said, gap });
  } catch (error) {
    session = null;
    postMessage({ kind: "failed", message: error.message });
  }
}

async function fetched(name) {
  const response = await fetch(beside(name));
  if (!response.ok) throw new Error(`${name} is missing beside this page (${response.status}): export again`);
  return response;
}

/** The bytes of an answer of the server, told of while they come. */
async function withProgress(response) {
  const total = Number(response.headers.get("Content-Length"));
  const parts = [];
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    loaded += value.length;
    postMessage({ kind: "loading", loaded, total });
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** The greatest difference, over the picture that was exported for it, from what the exported model answered there. */
async function compared() {
  const { image, probabilities } = expected;
  const bytes = new Uint8Array(await (await fetched(image)).arrayBuffer());
  const own = (await run(bytes)).probabilities;
  const gap = Math.max(...own.map((value, k) => Math.abs(value - probabilities[k])));
  if (gap <= TOLERANCE) return gap;
  throw new Error(
    `this browser gives other answers than the exported model: ${gap.toPrecision(2)} off for a test picture, where ` +
      `${TOLERANCE} is tolerated. A setting that protects from fingerprinting may change what pages read of pictures`,
  );
}

/** Probabilities (K,), the OOD score and, of several members, the parts of the uncertainty of one file. */
async function run(bytes) {
  const { size, channels = 3 } = facts.recipe;
  const pixels = new Uint8Array((await decode(bytes, facts.recipe, expected.tall_first)).buffer);
  const outputs = await session.run({ images: new ort.Tensor("uint8", pixels, [1, size, size, channels]) });
  return {
    probabilities: outputs.probabilities.data,
    score: facts.scorer.arguments.ood_score ? outputs.ood_score.data[0] : null,
    parts: outputs.uncertainty?.data,
  };
}

/** The answer for a file as `predict.py` gives it, and the probabilities. */
async function answered(name, file) {
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const { probabilities, score, parts } = await run(bytes);
    const decided = answer(facts, probabilities, score);
    const uncertainty = parts ? Object.fromEntries(PARTS.map((part, place) => [part, rounded(parts[place])])) : {};
    const detail = decided.reason === "undefined" ? "the model's output for it is not a number" : expected.said || null;
    const told = { ...decided, confidence: rounded(decided.confidence), ood_score: rounded(score), detail };
    return { answer: { id: name, ...NOTHING, ...told, ...uncertainty }, probabilities: Array.from(probabilities) };
  } catch (error) {
    const detail = error instanceof Unreadable ? error.message : `this page failed on it (${error.message})`;
    return { answer: { id: name, ...NOTHING, detail }, probabilities: null };
  }
}

function rounded(value) {
  return value === null ? null : Math.round(value * 1e6) / 1e6;
}
