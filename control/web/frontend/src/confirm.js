// Asks before what can't be undone. The question stands at the element (data-confirm, or htmx's hx-confirm), the
// words of the dialog in <template id="confirm-template">.
const confirmed = new WeakSet();

function ask(question, words) {
    const template = document.getElementById("confirm-template");
    const dialog = template.content.firstElementChild.cloneNode(true);
    dialog.querySelector(".modal-title").textContent = question;
    const text = dialog.querySelector("[data-confirm-text]");
    text.textContent = words.confirmDetail ?? "";
    text.hidden = !words.confirmDetail;
    const yes = dialog.querySelector("[data-confirm-ok]");
    if (words.confirmYes) yes.textContent = words.confirmYes;
    if (words.confirmTone) yes.classList.replace("btn-danger", `btn-${words.confirmTone}`);
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[data-confirm-no]").focus();
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => {
            dialog.remove();
            resolve(dialog.returnValue === "yes");
        });
    });
}

async function hold(element, event, again) {
    if (confirmed.delete(element)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!(await ask(element.dataset.confirm, element.dataset))) return;
    confirmed.add(element);
    again();
    confirmed.delete(element);
}

function onClick(event) {
    const element = event.target instanceof Element ? event.target.closest("[data-confirm]") : null;
    if (element && element.tagName !== "FORM") hold(element, event, () => element.click());
}

function onSubmit(event) {
    const form = event.target;
    if (form.dataset.confirm) hold(form, event, () => form.requestSubmit(event.submitter));
}

export function watchConfirmations() {
    // In the capture phase, so that neither htmx nor the form hears of it before the answer.
    document.addEventListener("click", onClick, true);
    document.addEventListener("submit", onSubmit, true);
    document.addEventListener("htmx:confirm", async (event) => {
        if (!event.detail.question) return;
        event.preventDefault();
        if (await ask(event.detail.question, event.detail.elt.dataset)) event.detail.issueRequest(true);
    });
}
