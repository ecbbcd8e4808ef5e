// Studio light, shadows, tone mapping: shared by every material. World space is the recording camera's space.
const float PI = 3.14159265;
uniform vec3 eye_position;
uniform vec3 light_direction[4];   // towards the light
uniform vec3 light_colour[4];
uniform float light_spread[4];     // sine of the light's apparent radius
uniform vec3 sky_colour;
uniform vec3 ground_colour;
uniform mat4 shadow_matrix;        // world to the key light's shadow map, in [0, 1]
uniform sampler2DShadow shadow_map;
uniform float exposure;

float lit(vec3 position, vec3 normal, float bias, float radius) {
    vec3 towards = light_direction[0];
    vec3 p = (shadow_matrix * vec4(position + normal * bias, 1.0)).xyz;
    p.z -= 0.0008;
    float sum = 0.0;
    const vec2 taps[8] = vec2[](vec2(-0.326, -0.406), vec2(-0.840, -0.074), vec2(-0.696, 0.557), vec2(0.203, 0.621),
        vec2(0.962, -0.195), vec2(0.473, -0.680), vec2(0.819, 0.567), vec2(-0.322, -0.933));
    for (int i = 0; i < 8; i++) sum += textureLod(shadow_map, vec3(p.xy + taps[i] * radius, p.z), 0.0);
    return sum / 8.0;
}

float lit_few(vec3 position, vec3 normal, float bias, float radius) {
    vec3 p = (shadow_matrix * vec4(position + normal * bias, 1.0)).xyz;
    float sum = 0.0;
    for (int i = 0; i < 4; i++) {
        vec2 tap = vec2(i & 1, i >> 1) * 1.4 - 0.7;
        sum += textureLod(shadow_map, vec3(p.xy + tap * radius, p.z), 0.0);
    }
    return sum / 4.0;
}

vec3 ambient(vec3 normal) { return mix(ground_colour, sky_colour, normal.y * 0.5 + 0.5); }

// What a smooth surface mirrors: the studio's walls and the softboxes.
vec3 studio(vec3 direction, float roughness) {
    vec3 seen = mix(ground_colour, sky_colour, smoothstep(-0.6, 0.8, direction.y)) * 0.55;
    for (int i = 0; i < 2; i++) {
        float c = dot(direction, light_direction[i]);
        float edge = cos(asin(light_spread[i]));
        float soft = 0.004 + roughness * 0.5;
        float bright = 0.62 / (light_spread[i] * light_spread[i]);   // a small source of the same light is brighter
        seen += light_colour[i] * smoothstep(edge - soft, edge + soft * 0.3, c) * bright / (1.0 + 60.0 * roughness * roughness * bright);
    }
    return seen;
}

float ggx(vec3 n, vec3 v, vec3 l, float roughness, float f0) {
    vec3 h = normalize(v + l);
    float nl = max(dot(n, l), 0.0), nv = max(dot(n, v), 1e-3), nh = max(dot(n, h), 0.0), vh = max(dot(v, h), 0.0);
    float a2 = pow(roughness, 4.0);
    float d = a2 / (PI * pow(nh * nh * (a2 - 1.0) + 1.0, 2.0));
    float k = (roughness + 1.0) * (roughness + 1.0) / 8.0;
    float g = 1.0 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k) * 4.0);
    float f = f0 + (1.0 - f0) * pow(1.0 - vh, 5.0);
    return d * g * f * nl;
}

vec3 tone(vec3 radiance) {
    vec3 x = radiance * exposure;
    x = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14);
    x = clamp(x, 0.0, 1.0);
    return mix(x * 12.92, 1.055 * pow(max(x, vec3(1e-5)), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, x));
}
