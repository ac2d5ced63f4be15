// Pictures are chosen, photographed, dropped or pasted.

const part = (id) => document.getElementById(id);

/** Give the files of every way to `add`; the parts `choose` and `photograph` are inputs of files. */
export function takePictures(add) {
  const given = (files) => files.length && add([...files]);
  for (const id of ["choose", "photograph"]) {
    part(id).addEventListener("change", ({ target }) => {
      given(target.files);
      target.value = ""; // the same file may be chosen again
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => given(clipboardData.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragged");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) document.body.classList.remove("dragged");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragged");
    given(event.dataTransfer.files);
  });
}
