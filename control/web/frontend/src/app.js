// Enhances server-rendered pages; every page works without it. Each module listens on the document, so content that
// htmx swaps in needs no wiring, except those in `enhance`, which prepare elements and are run again after each swap.
import htmx from "htmx.org";
import { prepareChoosers } from "./choose.js";
import { watchConfirmations } from "./confirm.js";
import { watchCopyButtons } from "./copy.js";
import { prepareEditors } from "./editor.js";
import { prepareDependentFields, watchForms } from "./forms.js";
import { configureHtmx, watchLiveParts } from "./live.js";
import { watchMenus } from "./menus.js";
import { watchModal } from "./modal.js";
import { prepareTabs } from "./tabs.js";
import { prepareThemeButtons, watchThemeButtons } from "./themes.js";
import { prepareTimes, watchTimes } from "./times.js";
import { watchToasts } from "./toasts.js";

function enhance(root) {
    prepareTimes(root);
    prepareChoosers(root);
    prepareEditors(root);
    prepareDependentFields(root);
    prepareTabs(root);
    prepareThemeButtons(root);
}

configureHtmx(htmx);
watchConfirmations();
watchCopyButtons();
watchForms();
watchLiveParts();
watchMenus();
watchModal();
watchThemeButtons();
watchTimes();
watchToasts();
// htmx calls this for the document once it is ready, and for everything it swaps in.
htmx.onLoad(enhance);
