"""Texts of everything around: the frame, sign-in, rules, regions, account, users."""

from __future__ import annotations

from typing import Final

__all__ = ["PLACES"]

PLACES: Final[dict[str, tuple[str, str]]] = {
    "app.name": ("Fenghuo", "烽火"),
    "app.tagline": ("Early warning for public health", "公共卫生早期预警"),
    "nav.label": ("Main", "主导航"),
    "nav.crumbs": ("Where you are", "当前位置"),
    "nav.skip": ("Skip to the content", "跳到正文"),
    "nav.inbox": ("Alerts", "预警"),
    "nav.regions": ("Regions", "地区"),
    "nav.rules": ("Rules", "规则"),
    "nav.users": ("Users", "用户"),
    "nav.account": ("Your account", "我的账户"),
    "nav.grafana": ("Dashboards", "仪表盘"),
    "nav.api": ("API", "接口文档"),
    "nav.back": ("Back", "返回"),
    "error.to_inbox": ("To the alerts", "回到预警列表"),
    "sign_in.title": ("Sign in", "登录"),
    "sign_in.name": ("User name", "用户名"),
    "sign_in.password": ("Password", "密码"),
    "sign_in.or": ("or", "或"),
    "sign_in.with": ("Sign in with {name}", "使用 {name} 登录"),
    "sign_in.forgotten": (
        "Password forgotten? An administrator gives you a new one.",
        "忘记密码？请联系管理员重置。",
    ),
    "password.title": ("Change your password", "修改密码"),
    "password.must": (
        "Please choose a password of your own before you go on.",
        "请先设置自己的密码，再继续使用。",
    ),
    "password.current": ("Present password", "当前密码"),
    "password.new": ("New password", "新密码"),
    "password.again": ("New password again", "再次输入新密码"),
    "password.rule": (
        "At least {n} characters. A sentence is easy to keep in mind.",
        "至少 {n} 个字符。可以用一句话，便于记忆。",
    ),
    "password.change": ("Change the password", "修改密码"),
    "role.viewer": ("Viewer", "查看者"),
    "role.officer": ("Duty officer", "值班人员"),
    "role.epidemiologist": ("Epidemiologist", "流行病学专家"),
    "role.admin": ("Administrator", "管理员"),
    "role.viewer.means": ("Reads alerts; small counts are not shown", "查看预警，不显示较小的计数"),
    "role.officer.means": ("Reads alerts and acts on them", "查看并处理预警"),
    "role.epidemiologist.means": (
        "Acts on alerts and sees how rules are set",
        "处理预警，并可查看规则参数",
    ),
    "role.admin.means": ("Everything, users included", "全部权限，包括用户管理"),
    "rules.title": ("Rules", "规则"),
    "rules.lead": (
        (
            "What each rule looks at, and how often its alerts turned out to be outbreaks "
            "(positive predictive value, with Wilson's 95% interval). A wide interval: few alerts "
            "were decided."
        ),
        (
            "各规则的监测内容，以及其预警被证实为疫情的比例（阳性预测值及 Wilson 95% 区间）。"
            "区间越宽，说明已办结的预警越少。"
        ),
    ),
    "rules.says": (
        "{signal}, {level}, {grain}; severity: {severity}; method: {method}.",
        "{signal}，{level}，{grain}；级别：{severity}；方法：{method}。",
    ),
    "rules.least": ("No alert below {n} cases.", "少于 {n} 例不预警。"),
    "rules.gone": ("no longer configured", "已不在配置中"),
    "rules.of": ("{n} of {all} decided alerts were outbreaks", "{all} 条已办结预警中 {n} 条为疫情"),
    "rules.no_outcomes": (
        "No alert of this rule has been decided yet.",
        "该规则的预警尚无办结结果。",
    ),
    "rules.open": ("Open alerts: {n}", "未结预警：{n}"),
    "grain.day": ("judged by day", "逐日判断"),
    "grain.rolling7": ("judged daily over 7 days", "滚动 7 天逐日判断"),
    "grain.week": ("judged by week", "逐周判断"),
    "level.nation": ("nation", "全国"),
    "level.province": ("province", "省级"),
    "level.prefecture": ("prefecture", "地市级"),
    "level.county": ("county", "区县级"),
    "levels.nation": ("nations", "全国"),
    "levels.province": ("provinces", "省级"),
    "levels.prefecture": ("prefectures", "地市级"),
    "levels.county": ("counties", "区县级"),
    "region.open_alerts": ("Open alerts: {n}", "未结预警：{n}"),
    "region.curve": ("{signal}: observed and expected", "{signal}：观察值与预期值"),
    "region.curve_rule": (
        "Expected and threshold by rule {rule}.",
        "预期值和阈值来自规则 {rule}。",
    ),
    "region.curve_plain": (
        "No rule judges this level: counts alone.",
        "没有规则判断该级别，仅显示计数。",
    ),
    "region.no_counts": ("No counts of this signal are known here.", "该地区没有此信号的数据。"),
    "region.ranked": ("Most affected {level}", "受影响最重的地区（{level}）"),
    "region.ranked_note": (
        (
            "By rule {rule}, the {span} up to {last}. Excess: all that was counted above what was "
            "expected."
        ),
        "依据规则 {rule}，截至 {last} 的 {span}。超额：高于预期值部分的合计。",
    ),
    "region.span_weeks": ("{n} weeks", "{n} 周"),
    "region.span_days": ("{n} days", "{n} 天"),
    "region.excess": ("Excess", "超额"),
    "region.rate": ("per 100,000", "每10万人"),
    "region.peak": ("Highest", "最高值"),
    "region.ratio": ("× expected", "为预期倍数"),
    "region.trend": ("Course", "走势"),
    "region.alerts": ("Open alerts", "未结预警"),
    "region.below": ("Areas directly below", "下级地区"),
    "region.latest_alerts": ("Latest alerts here", "本地最近预警"),
    "account.title": ("Account", "账户"),
    "account.role": ("Role", "角色"),
    "account.region": ("Region", "管辖地区"),
    "account.last_sign_in": ("Last signed in", "上次登录"),
    "account.my_alerts": ("Alerts assigned to me", "指派给我的预警"),
    "account.sign_out": ("Sign out", "退出登录"),
    "account.language": ("Language", "语言"),
    "account.language_note": ("The language of pages when you sign in.", "登录后页面使用的语言。"),
    "account.tokens": ("Tokens for programs", "程序访问令牌"),
    "account.tokens_note": (
        (
            "With a token a program reads and acts through the API in your name. Give each program "
            "its own."
        ),
        "程序可凭令牌以您的名义调用接口。请为每个程序单独创建。",
    ),
    "account.token_once": ("Copy it now, it is shown once:", "请立即复制，仅显示一次："),
    "account.token_label": ("What it is for", "用途"),
    "account.new_token": ("New token", "新建令牌"),
    "account.wrong_password": (
        "No token was made: the password is wrong, or was tried too often.",
        "未新建令牌：密码不正确，或尝试次数过多。",
    ),
    "account.token_by_operator": (
        "You sign in by your identity provider: an operator makes tokens for you.",
        "您通过身份提供方登录，令牌由运维人员代为新建。",
    ),
    "account.revoke": ("Revoke", "撤销"),
    "users.title": ("Users", "用户"),
    "users.add": ("Add a user", "添加用户"),
    "users.add_note": (
        (
            "The user gets a one-time password, shown here once, and chooses another one at the "
            "first sign-in."
        ),
        "系统会生成一次性密码，仅显示一次；用户首次登录时需自行修改。",
    ),
    "users.display_name": ("Name shown to others", "显示姓名"),
    "users.one_time": ("One-time password of {name}:", "{name} 的一次性密码："),
    "users.disabled": ("disabled", "已停用"),
    "users.disable": ("Disable", "停用"),
    "users.enable": ("Enable", "启用"),
    "users.change": ("Change", "修改"),
    "users.save": ("Save", "保存"),
    "users.new_password": ("New one-time password", "重置密码"),
    "users.last": ("last seen {when}", "最近登录：{when}"),
    "users.not_yourself": (
        "You cannot change your own access. Ask another administrator.",
        "不能修改自己的权限，请由其他管理员操作。",
    ),
    "users.never": ("never signed in", "从未登录"),
    "api.title": ("REST API", "REST 接口"),
    "api.lead": (
        "What programs can do, as an OpenAPI document:",
        "供程序调用的接口，OpenAPI 文档：",
    ),
    "api.parameter": ("Parameter", "参数"),
    "api.where": ("In", "位置"),
    "api.meaning": ("Meaning", "含义"),
}
