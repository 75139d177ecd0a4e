"use strict";
/* The timeline of the units, and the axis of time that the memory maps share with it. */

const time = (() => {
    const total = facts.metrics.cycles;
    /* Where each step begins; what units do ahead of it counts to the step before. */
    const starts = [0];
    for (const [start] of facts.spans) starts.push(Math.max(start, starts[starts.length - 1]));
    starts.push(total);
    let scale = "time";
    const grid = { left: 84, right: 20, outerBoundsMode: "none" };  // the same in all charts, so that they line up

    /* Return where a cycle is on the axis: itself, or the number of its layer and how far that has come. */
    function position(cycle) {
        if (scale === "time") return cycle;
        let low = 0, high = starts.length - 1;
        while (high - low > 1) {
            const middle = (low + high) >> 1;
            if (starts[middle] <= cycle) low = middle; else high = middle;
        }
        const length = starts[low + 1] - starts[low];
        return low + (length ? (cycle - starts[low]) / length : 0);
    }

    const axis = () => ({
        type: "value", min: 0, max: position(total),
        axisLine: { lineStyle: { color: colour("line") } },
        splitLine: { show: scale === "time", lineStyle: { color: colour("line") } },
        axisTick: { show: scale === "time" },
        axisLabel: { show: scale === "time", color: colour("faint"), formatter: short, hideOverlap: true, showMaxLabel: false },
    });

    const zoom = (withSlider) => [
        { type: "inside", xAxisIndex: 0, filterMode: "none", zoomOnMouseWheel: "ctrl", minSpan: 0.002 },
        ...(withSlider ? [{
            type: "slider", xAxisIndex: 0, filterMode: "none", height: 22, bottom: 6, brushSelect: false,
            showDetail: false, showDataShadow: false, borderColor: colour("line"), fillerColor: colour("accent") + "30",
            handleStyle: { color: colour("accent"), borderColor: colour("accent") },
            moveHandleStyle: { color: colour("accent"), opacity: 0.5 }, emphasis: { disabled: true },
        }] : []),
    ];

    /* Give a chart the keys that zoom and move it. */
    function keys(place, chart) {
        place.addEventListener("keydown", (event) => {
            let { start, end } = chart.getOption().dataZoom[0];
            const span = end - start, centre = (start + end) / 2;
            const change = {
                "+": [centre - span / 4, centre + span / 4], "=": [centre - span / 4, centre + span / 4],
                "-": [centre - span, centre + span], "0": [0, 100],
                ArrowLeft: [start - span / 5, end - span / 5], ArrowRight: [start + span / 5, end + span / 5],
            }[event.key];
            if (!change || event.ctrlKey || event.metaKey) return;
            event.preventDefault();
            [start, end] = change;
            if (start < 0) [start, end] = [0, Math.min(end - start, 100)];
            if (end > 100) [start, end] = [Math.max(start - (end - 100), 0), 100];
            chart.dispatchAction({ type: "dataZoom", start, end });
        });
        chart.group = "time";
    }

    /* Draw a box over [x0, x1] and [top, bottom] in pixels, with a text if there is room; undefined if it is not in view. */
    function rectangle(params, x0, x1, top, bottom, fill, text, strong, faded) {
        const area = params.coordSys;
        const shape = echarts.graphic.clipRectByRect(
            { x: x0, y: top, width: Math.max(x1 - x0, 1), height: Math.max(bottom - top, 1) },
            { x: area.x, y: area.y, width: area.width, height: area.height });
        if (!shape) return undefined;
        const roomy = shape.width > 26 && shape.height > 11;
        return {
            type: "rect", shape: { ...shape, r: 2 },
            style: {
                fill, opacity: faded ? 0.35 : 1,
                stroke: strong ? colour("select") : colour("card"), lineWidth: strong ? 2.5 : shape.width > 4 ? 1 : 0,
            },
            textConfig: { position: "inside" },
            textContent: roomy
                ? { type: "text", style: { text, fill: "#ffffff", fontSize: 11, width: shape.width - 8, overflow: "truncate", opacity: faded ? 0.5 : 1 } }
                : undefined,
        };
    }

    for (const input of document.querySelectorAll("input[name=scale]")) {
        input.addEventListener("change", () => { scale = input.value; drawAll(); });
    }
    return { position, axis, zoom, keys, rectangle, grid };
})();

(() => {
    const { unit, name, start, cycles, step } = facts.slices;
    const rows = ["layers", ...facts.units.filter((one) => unit.includes(one))];
    const boxes = [
        ...facts.spans.map(([begin, end], number) => ({
            row: 0, begin, end, name: facts.layers[number].name, step: number, unit: facts.layers[number].engine,
        })),
        ...unit.map((one, n) => ({
            row: rows.indexOf(one), begin: start[n], end: start[n] + cycles[n], name: name[n], step: step[n], unit: one,
        })),
    ];

    function describe(box) {
        const layer = facts.layers[box.step];
        const length = box.end - box.begin;
        return tip(box.name, [
            [box.row ? "unit" : "engine", box.unit],
            ["from cycle", number(box.begin)],
            ["cycles", number(length) + " (" + milliseconds(length) + ", " + number((100 * length) / facts.metrics.cycles, 2) + " %)"],
            ["step", layer ? box.step : ""],
            ["what", layer ? layer.summary : ""],
        ]);
    }

    const options = () => ({
        animation: false,
        tooltip: tooltip((at) => describe(boxes[at.value[3]])),
        grid: { ...time.grid, top: 8, bottom: 62 },
        xAxis: time.axis(),
        yAxis: {
            type: "category", data: rows, inverse: true, axisTick: { show: false }, axisLine: { show: false },
            axisLabel: { color: colour("text"), width: time.grid.left - 14, overflow: "truncate" },
        },
        dataZoom: time.zoom(true),
        series: [{
            type: "custom", clip: true, progressive: 0, encode: { x: [0, 1], y: 2 },
            data: boxes.map((box, index) => [time.position(box.begin), time.position(box.end), box.row, index]),
            renderItem(params, api) {
                const box = boxes[api.value(3)];
                const [x0, y] = api.coord([api.value(0), box.row]);
                const [x1] = api.coord([api.value(1), box.row]);
                const half = api.size([0, 1])[1] * (box.row ? 0.36 : 0.24);
                const fill = box.row ? colourOfUnit(box.unit) : colour("layer");
                const mine = box.step >= 0 && box.step === selected;
                return time.rectangle(params, x0, x1, y - half, y + half, fill, box.name, mine, selected >= 0 && !mine);
            },
        }],
    });

    const place = document.getElementById("timeline-chart");
    place.setAttribute("aria-label", "Timeline of " + rows.slice(1).join(", ") + " over " + number(facts.metrics.cycles) + " cycles");
    const chart = addChart(place, () => rows.length * 46 + 76, options, (event) => select(boxes[event.value[3]].step));
    time.keys(place, chart);
})();
