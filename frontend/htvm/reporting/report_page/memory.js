"use strict";
/* One map for each memory: buffers over the time that they are needed, at their offsets. */

(() => {
    const kinds = new Set();

    /* Say of each buffer whether another one is drawn over it: weights come while those before are still in use. */
    const covered = (buffers) => buffers.map((one, index) => buffers.some((other, above) =>
        above > index && other.start < one.end && one.start < other.end &&
        other.offset < one.offset + one.bytes && one.offset < other.offset + other.bytes));

    function describe(buffer) {
        const end = buffer.offset + buffer.bytes;
        return tip(buffer.name, [
            ["kind", buffer.kind],
            ["bytes", number(buffer.bytes) + ", " + number(buffer.offset) + " to " + number(end - 1)],
            ["tensor", buffer.dtype + " " + buffer.shape.join("×")],
            ["needed in steps", Math.max(buffer.first, 0) + " to " + Math.min(buffer.last, facts.layers.length - 1)],
        ]);
    }

    function heading(memory) {
        const { planned_peak_bytes: peak, lower_bound_bytes: bound, capacity_bytes: capacity } = memory;
        const said = [
            "peak " + number(peak) + " bytes",
            "lower bound " + number(bound) + (peak === bound ? ", which is reached" : ""),
            "capacity " + number(capacity) + " (" + number((100 * peak) / capacity, 1) + " % used)",
        ];
        if (memory.program_bytes) said.push("whole program " + number(memory.program_bytes));
        const title = element("h3", memory.name + " ");
        title.append(element("span", said.join(" · "), { class: "of-memory" }));
        return title;
    }

    const level = (text, value, tone) => ({
        type: "line", data: [],
        markLine: {
            silent: true, symbol: "none", data: [{ yAxis: value }], lineStyle: { color: tone, width: 1.5, type: "dashed" },
            label: { formatter: text, color: tone, position: "insideStartTop", fontSize: 11 },
        },
    });

    function options(memory) {
        const hidden = covered(memory.buffers);
        const { planned_peak_bytes: peak, lower_bound_bytes: bound, capacity_bytes: capacity } = memory;
        const top = capacity <= peak * 1.5 ? capacity * 1.06 : peak * 1.14;
        const levels = [level(peak === bound ? "peak = lower bound" : "peak", peak, colour("select"))];
        if (bound && bound !== peak) levels.push(level("lower bound", bound, colour("faint")));
        if (capacity <= top) levels.push(level("capacity", capacity, colour("text")));
        return {
            animation: false,
            tooltip: tooltip((at) => (at.seriesType === "custom" ? describe(memory.buffers[at.value[4]]) : "")),
            grid: { ...time.grid, top: 10, bottom: 28 },
            xAxis: time.axis(),
            yAxis: {
                type: "value", min: 0, max: top, interval: 2 ** Math.ceil(Math.log2(top / 8)), axisLine: { show: false },
                splitLine: { lineStyle: { color: colour("line"), opacity: 0.5 } },
                axisLabel: { color: colour("faint"), formatter: (value) => bytes(value), showMaxLabel: false },
            },
            dataZoom: time.zoom(false),
            series: [{
                type: "custom", clip: true, progressive: 0, encode: { x: [0, 1], y: [2, 3] },
                data: memory.buffers.map((each, index) => [
                    time.position(each.start), time.position(each.end), each.offset, each.offset + each.bytes, index,
                ]),
                renderItem(params, api) {
                    const buffer = memory.buffers[api.value(4)];
                    const [x0, bottom] = api.coord([api.value(0), api.value(2)]);
                    const [x1, high] = api.coord([api.value(1), api.value(3)]);
                    const live = selected >= 0 && buffer.first <= selected && selected <= buffer.last;
                    return time.rectangle(params, x0, x1, high, bottom, colour("kind-" + buffer.kind) || colour("faint"),
                        hidden[api.value(4)] ? "" : buffer.name, false, selected >= 0 && !live);
                },
            }, ...levels],
        };
    }

    const all = document.getElementById("memory-charts");
    for (const memory of facts.memories) {
        const place = element("div", undefined, { class: "chart", tabindex: "0", role: "group", "aria-roledescription": "chart" });
        place.setAttribute("aria-label", "Memory " + memory.name + ": " + memory.buffers.length + " buffers, peak " + number(memory.planned_peak_bytes) + " bytes");
        all.append(heading(memory), place);
        const chart = addChart(place, () => 340, () => options(memory), (event) => {
            if (event.seriesType === "custom") select(Math.max(memory.buffers[event.value[4]].first, 0));
        });
        time.keys(place, chart);
        memory.buffers.forEach((buffer) => kinds.add(buffer.kind));
    }
    echarts.connect("time");

    const legend = document.getElementById("kind-legend");
    for (const kind of kinds) {
        const entry = element("span", kind);
        entry.style.setProperty("--swatch", "var(--kind-" + kind + ", var(--faint))");
        legend.append(entry);
    }
})();
