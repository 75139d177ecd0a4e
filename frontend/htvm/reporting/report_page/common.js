"use strict";
/* What all parts of the page share: the facts, how numbers look, colours, and the layer that is selected. */

const facts = JSON.parse(document.getElementById("facts").textContent);

const number = (value, digits = 0) =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function short(value) {
    if (value >= 1e7) return number(value / 1e6, 1) + " M";
    if (value >= 1e6) return number(value / 1e6, 2) + " M";
    return value >= 1e4 ? number(value / 1e3, 1) + " k" : number(value);
}

const bytes = (value) => (value >= 1024 ? number(value / 1024, value % 1024 ? 1 : 0) + " KiB" : number(value) + " B");

const milliseconds = (cycles) => number((cycles / facts.target.clock_hz) * 1e3, 3) + " ms";

/* Names come from the model: in HTML they are text. */
const escaped = (text) => String(text).replace(/[&<>"']/g, (letter) => "&#" + letter.charCodeAt(0) + ";");

function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

const colourOfUnit = (unit) => colour("unit-" + (Math.max(facts.units.indexOf(unit), 0) % 6));

/* Rows of a tooltip; every value is escaped here. */
const tip = (title, rows) =>
    "<b>" + escaped(title) + "</b><br>" +
    rows.filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => escaped(name) + ": " + escaped(value)).join("<br>");

const tooltip = (formatter) => ({
    formatter,
    confine: true,
    transitionDuration: 0,
    backgroundColor: colour("card"),
    borderColor: colour("line"),
    textStyle: { color: colour("text"), fontSize: 13 },
    extraCssText: "max-width: 520px; white-space: normal; overflow-wrap: anywhere;",
});

/* A chart knows how to make its options; it is drawn again when colours, width or selection change. */
const charts = [];

function addChart(place, height, options, onClick) {
    place.style.height = height(place.clientWidth) + "px";
    const chart = echarts.init(place, null, { renderer: "canvas" });
    const draw = () => chart.setOption(options(place.clientWidth), { replaceMerge: ["series"] });
    chart.on("click", (event) => onClick(event));
    charts.push({ chart, draw, place, height });
    draw();
    return chart;
}

const drawAll = () => charts.forEach((each) => each.draw());

window.addEventListener("resize", () => {
    for (const { chart, draw, place, height } of charts) {
        place.style.height = height(place.clientWidth) + "px";
        chart.resize();
        draw();
    }
});

let selected = -1;
const onSelect = [];

function select(step) {
    selected = step;
    onSelect.forEach((action) => action(step));
    drawAll();
}
