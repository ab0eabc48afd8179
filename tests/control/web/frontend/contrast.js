// What a person can't read well: words below the contrast that WCAG 2.2 asks for (1.4.3), and pages wider than the window.
() => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parsed = (colour) => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = (top, below) => [0, 1, 2].map((part) => top[part] * top[3] + below[part] * (1 - top[3]));
    const luminance = (colour) => {
        const [red, green, blue] = colour.map((part) => (part <= 10.31 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ancestors = (element) => (element ? [element, ...ancestors(element.parentElement)] : []);
    const ground = (element) =>
        ancestors(element)
            .reverse()
            .map((each) => parsed(getComputedStyle(each).backgroundColor))
            .reduce((below, top) => over(top, below), [255, 255, 255]);
    const contrast = (element) => {
        const below = ground(element);
        const opacity = ancestors(element).reduce((all, each) => all * Number(getComputedStyle(each).opacity), 1);
        const [red, green, blue, alpha] = parsed(getComputedStyle(element).color);
        const [dark, light] = [luminance(below), luminance(over([red, green, blue, alpha * opacity], below))].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
    };
    const shown = (element) => {
        const { width, height } = element.getBoundingClientRect();
        return element.checkVisibility({ visibilityProperty: true }) && width > 1 && height > 1 && !element.closest("svg, option");
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode;
        const element = text.parentElement;
        const needed = parseFloat(getComputedStyle(element).fontSize) >= 24 ? 3 : 4.5;
        if (text.textContent.trim() && shown(element) && contrast(element) < needed)
            found.push(`${element.className}: ${text.textContent.trim().slice(0, 30)} ${contrast(element).toFixed(2)}`);
    }
    const wider = document.documentElement.scrollWidth - innerWidth;
    return wider > 0 ? [...found, `${wider} px too wide`] : found;
}
