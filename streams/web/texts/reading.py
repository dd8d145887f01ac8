"""Texts of what is read: inbox, one alert, its explanation and history, line list, charts."""

from __future__ import annotations

from typing import Final

__all__ = ["READING"]

READING: Final[dict[str, tuple[str, str]]] = {
    # the inbox
    "inbox.title": ("Alerts", "预警"),
    "inbox.updated": ("Last updated", "更新于"),
    "inbox.away": ("(no connection, trying again)", "（连接中断，正在重试）"),
    "inbox.by_status": ("Alerts by status", "按状态查看"),
    "inbox.open": ("All open", "全部未结"),
    "inbox.decided": ("Decided", "已办结"),
    "status.new": ("New", "待处理"),
    "status.verifying": ("Verifying", "核实中"),
    "status.monitoring": ("Monitoring", "监测中"),
    "status.assessing": ("Assessing", "评估中"),
    "status.confirmed": ("Confirmed", "已确认"),
    "status.closed": ("Closed", "已关闭"),
    "status.discarded": ("Discarded", "已排除"),
    "status.merged": ("Merged", "已合并"),
    "inbox.filters": ("Search and filter", "搜索与筛选"),
    "inbox.search": ("Search for a region", "按地区名称搜索"),
    "inbox.search_hint": ("Name or code", "名称或代码"),
    "inbox.severity": ("Severity", "级别"),
    "inbox.signal": ("Signal", "监测信号"),
    "inbox.region": ("Region", "地区"),
    "inbox.any": ("All", "全部"),
    "inbox.mine": ("Only mine", "只看我的"),
    "inbox.apply": ("Show", "查看"),
    "inbox.clear": ("Clear", "清除"),
    "inbox.no_such_place": ("No region is called “{q}”.", "没有名为“{q}”的地区。"),
    "inbox.pages": ("Pages", "分页"),
    "inbox.previous": ("Previous", "上一页"),
    "inbox.next": ("Next", "下一页"),
    "inbox.range": ("{first}–{last} of {total}", "第{first}–{last}条，共{total}条"),
    "inbox.none": ("No open alerts", "目前没有未结预警"),
    "inbox.none_hint": (
        "Nothing in your area is above its threshold. This page renews itself.",
        "辖区内没有超过阈值的信号。本页会自动更新。",
    ),
    "inbox.none_like_that": ("No alert is like that", "没有符合条件的预警"),
    "inbox.none_like_that_hint": (
        "Choose another status, or clear the filters.",
        "请选择其他状态，或清除筛选条件。",
    ),
    # one alert, in the inbox and on its page
    "alert.vs": ("vs {expected} expected", "预期 {expected}"),
    "alert.unread": ("Unread", "未读"),
    "alert.escalated": ("Escalated", "已升级"),
    "alert.too_old": ("Not announced: older than {n} days", "未即时通知：早于 {n} 天"),
    "alert.too_old_hint": (
        "The exceedance was this old when it was found; only digests tell of it",
        "发现时已早于该期限，仅在汇总消息中列出",
    ),
    "alert.ended_short": ("Ended", "已回落"),
    "alert.new_level_short": ("Ended at a high level", "超阈值结束，水平仍高"),
    "alert.corrected_short": ("Corrected", "已更正"),
    "alert.assigned_to": ("With {name}", "负责人：{name}"),
    "alert.assigned_nobody": ("Unassigned", "未指派"),
    "alert.ppv_short": ("Rule right: {text}", "规则准确率：{text}"),
    "alert.ppv_none": ("no outcomes yet", "尚无结果"),
    "alert.ppv_title": (
        "Of this rule's decided alerts, {n} of {all} were outbreaks (95% interval {interval})",
        "该规则已办结的 {all} 条预警中，{n} 条为真实疫情（95% 区间 {interval}）",
    ),
    "alert.ppv_title_none": (
        "None of this rule's alerts has been decided yet",
        "该规则的预警尚无办结结果",
    ),
    "alert.reload": ("Show it", "查看最新"),
    "alert.new_numbers": ("New numbers have come in.", "数据有更新。"),
    "alert.changed_by_person": (
        "Somebody has acted on this alert since you opened it.",
        "打开本页之后，已有他人处理过这条预警。",
    ),
    "alert.from_message": (
        "You come from a notification ({channel}). Tell the others that somebody has read it?",
        "您从通知（{channel}）进入。是否告知同事已有人查看？",
    ),
    "alert.bad_token": (
        (
            "The link in your message has expired or is not whole. You can acknowledge the alert "
            "below."
        ),
        "通知中的链接已过期或不完整。可在下方确认知悉。",
    ),
    "alert.merged_into": ("This alert was merged into", "本预警已并入"),
    "alert.absorbed": ("Other rules raised the same:", "其他规则的同一预警："),
    "alert.ended": (
        "No exceedance since {when}: it may be closed.",
        "{when}起未再超过阈值，可以关闭。",
    ),
    "alert.new_level": (
        (
            "No exceedance since {when}. {level} Before you close the alert, find out whether "
            "reporting or the population changed, or the outbreak goes on."
        ),
        "{when}起未再超过阈值。{level}关闭前请核实：是报告方式或人群发生变化，还是疫情仍在持续。",
    ),
    "alert.curve": ("Observed and expected", "观察值与预期值"),
    "alert.curve_note": (
        "The shaded area reaches up to the alarm threshold; diamonds are periods above it.",
        "阴影上沿为预警阈值；菱形为超过阈值的时段。",
    ),
    "alert.provisional_note": (
        "From {when} on, data are still coming in (hatched).",
        "{when}起的数据仍在上报中（斜线部分）。",
    ),
    "alert.chart_text": (
        (
            "Counts of {signal} in {place} by period, with the expected count and the alarm "
            "threshold; the same numbers stand in the table below"
        ),
        "{place}{signal}各时段的观察值、预期值和预警阈值；下方表格列有相同数据",
    ),
    "alert.marked": ("Alert #{id}", "预警 #{id}"),
    "alert.needs_script": ("Charts need JavaScript.", "图表需要启用 JavaScript。"),
    "alert.as_table": ("As a table", "以表格显示"),
    "alert.period": ("Period", "时段"),
    "alert.above": ("Above threshold", "超过阈值"),
    "alert.yes": ("yes", "是"),
    "age.now": ("just now", "刚刚"),
    "age.minutes": ("{n} min ago", "{n} 分钟前"),
    "age.hours": ("{n} h ago", "{n} 小时前"),
    "age.days": ("{n} d ago", "{n} 天前"),
    "figure.peak": ("Highest", "最高值"),
    "figure.exceedances": ("Above threshold", "超阈值次数"),
    "figure.weeks": ("weeks", "周"),
    "figure.days": ("days", "天"),
    # charts
    "chart.observed": ("Observed", "观察值"),
    "chart.expected": ("Expected", "预期值"),
    "chart.upper": ("Threshold", "预警阈值"),
    "chart.band": ("Up to the threshold", "阈值以内"),
    "chart.alarm": ("Above threshold", "超过阈值"),
    "chart.provisional": ("Still coming in", "数据上报中"),
    # the explanation
    "why.title": ("Why this is an alert", "预警原因"),
    "why.not_yet": (
        "The explanation follows within seconds while a worker runs.",
        "说明将在数秒内生成。",
    ),
    "why.older": (
        "These details are of {period}; newer ones follow within seconds.",
        "以下为 {period} 的详情，新的说明将在数秒内生成。",
    ),
    "why.excess": ("More than expected", "超出预期"),
    "why.growth": ("Latest 7 whole days", "最近完整 7 天"),
    "why.growth_text": (
        "{now}, after {before} in the 7 days before",
        "{now}，此前 7 天为 {before}",
    ),
    "why.growth_until": ("the 7 days to {day}", "截至 {day} 的 7 天"),
    "why.doubling": ("doubling about every {n} days", "约每 {n} 天翻一番"),
    "why.completeness": ("Reporting", "数据到报"),
    "why.completeness_text": (
        "{share} of the usual reports of {n} facilities",
        "{n} 家机构，到报率 {share}",
    ),
    "why.silent": ("Silent: {names}", "尚无报告：{names}"),
    "why.silent_more": ("Silent: {names} and {n} more", "尚无报告：{names} 等，另有 {n} 家"),
    "why.all_report": ("No facility is silent", "没有机构缺报"),
    "why.neighbours": ("Neighbouring areas", "周边地区"),
    "why.neighbours_text": ("{n} of {all} are high too", "{all} 个中有 {n} 个同期偏高"),
    "why.neighbours_none": ("none of {all} is high", "{all} 个均未见偏高"),
    "why.neighbours_not_yet": ("not judged yet", "尚未判定"),
    "why.neighbours_awaited": ("{n} more not judged yet", "另有 {n} 个尚未判定"),
    "why.neighbours_unknown": ("{n} more without enough data", "另有 {n} 个数据不足"),
    "why.quality": ("Data quality", "数据质量"),
    "why.chance": ("Chance alone", "偶然波动"),
    "why.chance_text": ("p {p}", "p {p}"),
    "why.q_text": (
        "q {q}: among alerts as unusual as this, so many are expected to be chance",
        "q {q}：与此同样异常的预警中，预计由偶然波动造成的比例",
    ),
    "why.unknown": ("not known", "未知"),
    "why.facilities": ("Facilities", "报告机构"),
    "why.regions": ("Areas within", "下级地区"),
    "why.ages": ("Age groups", "年龄组"),
    "why.high_neighbours": ("High neighbours", "偏高的周边地区"),
    "why.usual": ("usually", "平时"),
    "why.bar_text": ("{now} · usually {usual}", "{now} · 平时 {usual}"),
    "why.bar_expected": ("{now} · expected {usual}", "{now} · 预期 {usual}"),
    "why.bar_new": ("{now} · new", "{now} · 新增"),
    "why.age": ("{name} years", "{name}岁"),
    "why.age_unknown": ("Age unknown", "年龄不详"),
    "why.baseline_note": (
        (
            "Bars: counts of the period. The mark: what is usual, the mean of the same period 1 to "
            "8 weeks before ({n} of them known), or what the rule expects."
        ),
        (
            "条形为本时段的观察值；竖线为平时水平，"
            "即此前 1 至 8 周同期的均值（其中 {n} 周有数据），或规则的预期值。"
        ),
    ),
    # former years
    "years.title": ("The same weeks of former years", "往年同期"),
    "years.year": ("Year", "年份"),
    "years.this_week": ("Week {week}", "第{week}周"),
    "years.four_weeks": ("4 weeks to then", "截至该周的 4 周"),
    "years.none": ("No counts of former years are known.", "没有往年的数据。"),
    "years.week": ("W{n}", "第{n}周"),
    # history
    "history.title": ("History", "处理记录"),
    "history.system": ("the system", "系统"),
    "history.left_out": ("{n} updates of the numbers are left out.", "已省略 {n} 条数据更新记录。"),
    "history.show_all": ("Show all", "全部显示"),
    "history.observed": ("{period}: {n}", "{period}：{n}"),
    "history.corrected": (
        "{period}: corrected from {before} to {after}",
        "{period}：由 {before} 更正为 {after}",
    ),
    "history.not_judged": ("not judged", "无法判断"),
    "history.to": ("to {name}", "指派给 {name}"),
    "history.to_nobody": ("to nobody", "取消指派"),
    "history.into": ("into alert #{id}", "并入预警 #{id}"),
    "history.from": ("alert #{id}", "预警 #{id}"),
    "history.after": ("unread for {n} minutes", "{n} 分钟无人查看"),
    # facts
    "facts.title": ("Facts", "基本信息"),
    "facts.rule": ("Rule", "规则"),
    "facts.leading": ("Numbers of the merged rule", "数字取自已并入的规则"),
    "facts.right": ("Rule was right", "规则准确率"),
    "facts.right_text": ("{n} of {all}: {share}", "{all} 条中 {n} 条：{share}"),
    "facts.detector": ("Detector", "检测方法"),
    "facts.parameters": ("Parameters", "参数"),
    "facts.first": ("First exceedance", "首次超阈值"),
    "facts.latest": ("Latest exceedance", "最近超阈值"),
    "facts.assigned": ("Assigned to", "负责人"),
    "facts.read": ("Read", "查看"),
    "facts.unread": ("not yet", "尚未"),
    "facts.by": ("{who}, {when}", "{who}，{when}"),
    "facts.opened": ("Opened", "发出时间"),
    "facts.updated": ("Updated", "更新时间"),
    "facts.as_of": ("Data as of", "数据截至"),
    "facts.config": ("Configuration", "配置版本"),
    "facts.risk": ("Risk", "风险"),
    "facts.outcome": ("Outcome", "结论"),
    "facts.suppressed": ("After closing", "关闭之后"),
    "facts.suppressed_text": ("{n} exceedances that raised no alert", "{n} 次超阈值，未另发预警"),
    "facts.version": ("Version", "版本"),
    # the line list
    "lines.title": ("Line list of counts", "计数明细"),
    "lines.lead": (
        (
            "The counts that {period} is made of, by facility, day and age group. No patients, "
            "only counts."
        ),
        "{period}的计数，按机构、日期和年龄组列出。只有计数，没有个案信息。",
    ),
    "lines.lead_told": (
        "Cases of the whole week {period} by facility and by age group.",
        "{period}整周各机构、各年龄组的病例数。",
    ),
    "lines.suppressed": (
        (
            "Counts are in steps of five, or rounded to tens where marked ≈. Those below five, and "
            "what would reveal them, are left out."
        ),
        "计数按每 5 例一档显示，标有≈的取整到 10；少于 5 例的以及可能据以推算的不显示。",
    ),
    "lines.none_told": ("Nothing that may be shown", "没有可显示的明细"),
    "lines.none_told_hint": (
        "Counts below five, and those that would reveal them, are shown to officers only.",
        "少于 5 例的计数及可能据以推算的计数仅向值班人员显示。",
    ),
    "lines.csv": ("Download CSV", "下载 CSV"),
    "lines.none": ("No single counts", "没有明细"),
    "lines.none_hint": (
        "The counts of this period were imported, or have been deleted since.",
        "该时段的计数为导入数据，或已被删除。",
    ),
    "lines.day": ("Day", "日期"),
    "lines.all_days": ("All days", "全部日期"),
    "lines.facility": ("Facility", "机构"),
    "lines.total": ("Total", "合计"),
    "lines.all_ages": ("All ages", "全部年龄"),
    "lines.more": (
        "{n} more lines are not shown. Choose a day, or download them.",
        "另有 {n} 行未显示。请选择日期，或下载。",
    ),
    # links
    "links.title": ("See also", "相关链接"),
    "links.region": ("Region: {name}", "地区：{name}"),
    "links.parent_alerts": ("All alerts in {name}", "{name}的全部预警"),
    "links.rule": ("Rule {name}", "规则 {name}"),
    "links.grafana": ("Open in Grafana", "在 Grafana 中打开"),
    "links.json": ("This alert as JSON", "本预警的 JSON"),
}
